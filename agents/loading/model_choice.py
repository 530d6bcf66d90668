"""Which model an agent is answered by."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from functools import cache

from agents.conf import Config
from myagent.agent import Agent, default_llm
from myagent.exceptions import LLMNotConfigured
from myagent.i18n import gettext as _
from myagent.llm import LLM, Chunk, Reply, ToolSchema, Usage
from myagent.llm.http.endpoint import DEFAULT_MODEL, URL_VARIABLES, Endpoint, setting, unusable_url
from myagent.llm.http.test_guard import stand_in
from myagent.messages import Message


def llm_of(agent: Agent, config: Config) -> LLM:
    """The model that answers for `agent`: the demo model for all when chosen, else its own or the environment's."""
    return agent.llm if agent.llm is not None and config.llm != "demo" else default_model(config)


def default_model(config: Config) -> LLM:
    """The model for agents without one of their own."""
    return _demo() if config.llm == "demo" else _default()


async def close_models(agents: Iterable[Agent], config: Config) -> None:
    """Close the connections that the models of these agents hold on the running loop."""
    models = {id(model): model for model in (llm_of(agent, config) for agent in agents)}
    for model in models.values():
        close = getattr(model, "aclose", None)
        if close is not None:
            await close()


def model_name(agent: Agent, config: Config) -> str:
    """The name of that model for people; loads no client."""
    if config.llm == "demo":
        return "demo"
    return agent.llm.model if agent.llm is not None else setting("LLM_MODEL") or DEFAULT_MODEL


def missing_setting(agent: Agent, config: Config) -> str | None:
    """What has to be set before the agent can answer, as a sentence; None when nothing is known to be missing."""
    if config.llm == "demo" or agent.llm is not None:
        return None
    try:
        Endpoint.resolve(DEFAULT_MODEL, None, None)
    except LLMNotConfigured as error:
        return str(error)
    return None


def unusable_model(agents: Iterable[Agent], config: Config) -> str | None:
    """Why the model that the environment configures can never be asked, as a sentence; None when it can.

    Loads its client, which a file of the same name may have replaced. Nothing is looked at that no agent needs, and a
    missing key is no reason: it can be set later.
    """
    if config.llm == "demo" or all(agent.llm is not None for agent in agents):
        return None
    if stand_in() is None:
        named = next((name for name in URL_VARIABLES if setting(name)), None)
        if named is not None and (problem := unusable_url(setting(named) or "", named)) is not None:
            return problem
    try:
        importlib.import_module("myagent.llm.openai")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the code of that file may do anything
        return _unusable_client(error)
    return None


def _unusable_client(error: BaseException) -> str:
    found = sys.modules.get("openai")
    words = _(
        "The package openai, with which the model is asked, cannot be used (%(error)s). It was found at %(place)s; let "
        "no file of your own have that name, and install it with: pip install 'openai[aiohttp]>=3.54'"
    )
    place = getattr(found, "__file__", None)
    if place is None:
        with suppress(ValueError):  # something stands for the module and does not say where it is from
            place = getattr(importlib.util.find_spec("openai"), "origin", None)
    return words % {"error": f"{type(error).__name__}: {error}", "place": place or "-"}


class UnusableLLM:
    """Stands for a model whose client cannot be used; `problem` tells those who run the server why. Satisfies `LLM`."""

    model = "-"

    def __init__(self, problem: str) -> None:
        self.problem = problem

    async def stream(self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = ()) -> AsyncGenerator[Chunk]:
        """Raise why it cannot be asked."""
        if self.problem:
            raise LLMNotConfigured(self.problem, public=_("The model of this server is not set up."))
        yield Reply(Message.assistant(""), Usage())


@cache
def _default() -> LLM:
    try:
        return default_llm()
    except (ImportError, AttributeError) as error:
        return UnusableLLM(_unusable_client(error))


@cache
def _demo() -> LLM:
    # Only a demonstration needs it.
    from myagent.llm.demo import DemoLLM

    return DemoLLM()
