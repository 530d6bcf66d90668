"""The options of an agent as authors write them: other words for some, None for a default, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from myagent.agent_definition import AgentDefinition
from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.i18n import gettext_noop
from myagent.tool.attribute_names import meant_confirmation

KNOWN = tuple(item.name for item in fields(AgentDefinition))
SYNONYMS = {"available_tools": "tools"}
_NONE_IS_DEFAULT = frozenset(
    {"accepts", "description", "examples", "tools", "system_prompt", "max_steps", "enable_tracing"}
)
_INSTEAD = {
    **dict.fromkeys(
        ("llm_config", "model", "model_config", "client", "chat_model"),
        gettext_noop('Write llm="the model", or llm=OpenAILLM("the model", base_url=…, api_key=…).'),
    ),
    **dict.fromkeys(
        ("prompt", "instructions", "instruction", "system_message", "system", "state_modifier", "sys_prompt"),
        gettext_noop("Write system_prompt=…"),
    ),
    **dict.fromkeys(
        ("memory", "checkpointer", "store", "messages", "history", "state", "state_schema"),
        gettext_noop("The server stores each conversation by itself. Leave it out."),
    ),
    **dict.fromkeys(
        ("tool_choice", "tool_choices"), gettext_noop("The model decides which tools it calls. Leave it out.")
    ),
    **dict.fromkeys(
        ("trace_metadata", "callbacks", "tracing"),
        gettext_noop("Write enable_tracing=True; the spans are in the admin, or go to OpenTelemetry."),
    ),
    **dict.fromkeys(
        ("special_tool_names", "end_tools"),
        gettext_noop("A tool that ends the run is Terminate, or a class that is derived from it."),
    ),
    **dict.fromkeys(
        ("response_format", "output_type", "result_type", "output_schema", "structured_output"),
        gettext_noop("Write output=…, a pydantic model, a dataclass or a JSON schema."),
    ),
    **dict.fromkeys(("max_iterations", "max_turns", "recursion_limit"), gettext_noop("Write max_steps=…")),
    **dict.fromkeys(("max_execution_time", "max_time", "time_limit"), gettext_noop("Write max_seconds=…")),
    **dict.fromkeys(("tool_calls_limit", "max_calls"), gettext_noop("Write max_tool_calls=…")),
    "parallel_tool_calls": gettext_noop("Write max_parallel_tools=1, or sequential=True at a tool."),
    "duplicate_threshold": gettext_noop("Write repeat_limit=…"),
}


def read_options(given: Mapping[str, Any], *, caller: str) -> dict[str, Any]:
    """The fields of an agent that `given` sets. Raises `AgentDefinitionError` for options that are none."""
    found = {
        SYNONYMS.get(name, name): value
        for name, value in given.items()
        if not (value is None and name in _NONE_IS_DEFAULT | SYNONYMS.keys()) and not _says_nothing(name, value)
    }
    if unknown := sorted(found.keys() - set(KNOWN)):
        words = _("%(caller)s has no option %(unknown)s. It knows: %(known)s.")
        about = {"caller": caller, "unknown": ", ".join(map(repr, unknown)), "known": ", ".join(KNOWN)}
        instead = [text for text in map(_instead, unknown) if text]
        raise AgentDefinitionError(" ".join([words % about, *dict.fromkeys(instead)]))
    if not isinstance(found.get("name", ""), str) and "tools" not in given:
        words = _("%(caller)s: the first is the name. Write tools=[…].")
        raise AgentDefinitionError(words % {"caller": caller})
    return found


def _says_nothing(name: str, value: Any) -> bool:
    """Whether it asks for what is so anyway."""
    if name in ("tool_choice", "tool_choices"):
        return value is None or getattr(value, "value", value) == "auto"
    if name == "special_tool_names":
        return value is None or [str(item).lower() for item in value] in ([], ["terminate"])
    return name in _INSTEAD and value is None


def _instead(name: str) -> str:
    if name in _INSTEAD:
        return _(_INSTEAD[name])
    if meant_confirmation(name):
        return _("Each tool says itself when the user is asked: requires_confirmation=True.")
    close = get_close_matches(name, KNOWN, n=1)
    return _("Did you mean %(name)s?") % {"name": close[0]} if close else ""
