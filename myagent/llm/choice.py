"""What an author may give as the model of an agent: a model, its name, or a list of these."""

from __future__ import annotations

from typing import Any

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.llm.fallback import FallbackLLM
from myagent.llm.usable import unusable_llm


def chosen_llm(given: Any) -> Any:
    """The model that `given` stands for; what stands for none is returned as it is.

    Raises `AgentDefinitionError` for a list with something that is no model, or without any.
    """
    if not isinstance(given, list | tuple):
        return _named(given)
    models = list(map(_named, given))
    for model in models:
        if (problem := unusable_llm(model)) is not None:
            raise AgentDefinitionError(problem)
    if not models:
        raise AgentDefinitionError(_("llm=[]: name at least one model, or leave llm out."))
    return models[0] if len(models) == 1 else FallbackLLM(models)


def _named(given: Any) -> Any:
    if isinstance(given, str) and given.strip():
        # Imported here because the openai package takes about a second, which `import myagent` should not.
        from myagent.llm.openai import OpenAILLM

        return OpenAILLM(given)
    return given
