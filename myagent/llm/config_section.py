"""`LLM(…)`: a model as files describe it that were written for an LLM with sections of a configuration."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.llm.openai import OpenAILLM


def make_llm(model: str | None = None, *, config_name: str = "", llm_config: Any = None, **options: Any) -> OpenAILLM:
    """`OpenAILLM` with these options. Sections do not exist: their names are ignored, the environment configures.

    Raises `AgentDefinitionError` for an option that is none.
    """
    known = inspect.signature(OpenAILLM).parameters
    section = (
        llm_config if isinstance(llm_config, Mapping) else {name: getattr(llm_config, name, None) for name in known}
    )
    named = None if model == "default" else model
    given = {
        name: value
        for name, value in {**section, **({"model": named} if named else {}), **options}.items()
        if value is not None
    }
    if unknown := sorted(given.keys() - set(known)):
        words = _("LLM() has no option %(unknown)s. It knows: %(known)s.")
        raise AgentDefinitionError(words % {"unknown": ", ".join(map(repr, unknown)), "known": ", ".join(known)})
    return OpenAILLM(**given)
