"""Which model an agent is answered by."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from agents.conf import Config
from myagent.agent import Agent, default_llm
from myagent.exceptions import LLMNotConfigured
from myagent.llm import LLM
from myagent.llm.endpoint import DEFAULT_MODEL, Endpoint, setting


def llm_of(agent: Agent, config: Config) -> LLM:
    """The model that answers for `agent`: the demo model for all when chosen, else its own or the environment's."""
    if config.llm == "demo":
        return _demo()
    return agent.llm if agent.llm is not None else _default()


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


@cache
def _default() -> LLM:
    return default_llm()


@cache
def _demo() -> LLM:
    # Only a demonstration needs it.
    from myagent.llm.demo import DemoLLM

    return DemoLLM()
