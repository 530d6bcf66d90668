"""Under which terms an agent works, beside its tools: limits of a run, models, the form of its answers, hooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agents.conf import Config
from agents.loading.model_choice import llm_of
from myagent.agent import Agent
from myagent.i18n import gettext as _
from myagent.llm.fallback import FallbackLLM
from myagent.loop.run_limits import limits_of


def terms(agent: Agent, config: Config) -> dict[str, Any]:
    """The same for programs; limits that the agent has none of are None."""
    return {
        "max_steps": agent.max_steps,
        "max_tokens": agent.max_tokens,
        "max_tool_calls": agent.max_tool_calls,
        "max_seconds": agent.max_seconds,
        "repeat_limit": agent.repeat_limit,
        "max_parallel_tools": agent.max_parallel_tools,
        "fallback_models": fallback_models(agent, config),
        "output": None if agent.output is None else agent.output.schema,
        "accepts": list(agent.accepts),
        "when_busy": list(agent.modes_when_busy),
        "hooks": [{"name": hook.name, "on": hook.point} for hook in agent.hooks],
    }


def fallback_models(agent: Agent, config: Config) -> list[str]:
    """The names of the models that are asked when the first one does not answer, in their order."""
    llm = agent.llm and llm_of(agent, config)  # of the environment there is one
    return [model.model for model in llm.models[1:]] if isinstance(llm, FallbackLLM) else []


def terms_in_words(agent: Agent, config: Config) -> Iterator[str]:
    """A line for each that the agent has."""
    yield _("a run: %(limits)s") % {"limits": " · ".join(_limits(agent))}
    if others := fallback_models(agent, config):
        yield _("where it does not answer: %(models)s") % {"models": ", ".join(others)}
    if agent.output is not None:
        fields = ", ".join(agent.output.schema.get("properties", {})) or "{}"
        yield _("answers are values with the fields: %(fields)s") % {"fields": fields}
    yield _("messages during a run: %(modes)s") % {"modes": ", ".join(_modes(agent))}
    if hooks := ", ".join(f"{hook.name} ({hook.point})" for hook in agent.hooks):
        yield _("hooks: %(hooks)s") % {"hooks": hooks}
    if agent.hooks.at("answer"):
        yield _("Nothing of an answer is shown before the hooks on it have passed it.")
    elif agent.hooks.at("after_model"):
        yield _("The text of a step is shown when the hooks on the reply have passed it.")


def _limits(agent: Agent) -> Iterator[str]:
    words = {
        "max_steps": _("at most %(count)s steps"),
        "max_tokens": _("%(count)s model tokens"),
        "max_tool_calls": _("%(count)s tool calls"),
        "max_seconds": _("%(count)s s"),
        "repeat_limit": _("the same call %(count)s times in a row"),
    }
    for which, allowed in limits_of(agent).items():
        yield words[which] % {"count": f"{allowed:,}"}
    if agent.max_parallel_tools is not None:
        yield _("%(count)s tools at once") % {"count": f"{agent.max_parallel_tools:,}"}


def _modes(agent: Agent) -> Iterator[str]:
    words = {
        "queue": _("wait"),
        "reject": _("are refused"),
        "interrupt": _("end it"),
        "steer": _("are read before its next step"),
    }
    for mode in agent.modes_when_busy:
        yield words[mode]
