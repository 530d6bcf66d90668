"""What agent files import from `myagent`, or ask of its objects, and is not here: what takes its place."""

from __future__ import annotations

import dataclasses
import pkgutil
import re
import sys
from difflib import get_close_matches
from types import ModuleType

import myagent
from myagent.i18n import gettext as _
from myagent.i18n import gettext_noop

_IMPORT_FROM = re.compile(r"cannot import name '(\w+)'")
_SERVER = gettext_noop(
    "The server is a command: myagent-ws server FILE serves the `agent` of a file. Programs talk to it with "
    "myagent.client."
)
_SPANS = gettext_noop("Write enable_tracing=True; the spans are in the admin, or go to OpenTelemetry.")
_NO_TOOLS = gettext_noop("There are no ready-made tools of this kind here. Write the function with @tool.")
_AGENT = gettext_noop(
    "Write: from myagent import create_react_agent. As a type use Agent, as a base class ToolCallAgent."
)
_NO_PLANS = gettext_noop("Plans are not made here. Write a tool or a system_prompt that plans.")
_SETTINGS = gettext_noop("The environment configures the model: OPENAI_API_KEY, OPENAI_BASE_URL, LLM_MODEL.")
_SESSIONS = gettext_noop("The server stores each conversation by itself; tools keep their data in RunContext.state.")
_MANY = gettext_noop("One server serves many agents: myagent-ws server one.py two.py")
_DECIDES = gettext_noop("The model decides which tools it calls. Leave it out.")
_MODULES: dict[str, str | tuple[str, str]] = {
    "myagent.ws": _SERVER,
    "myagent.trace": _SPANS,
    "myagent.manager": _MANY,
    "myagent.middleware": _NO_PLANS,
    "myagent.agent.plan_solver": _NO_PLANS,
    "myagent.agent": _AGENT,
    "myagent.config": _SETTINGS,
    "myagent.schema": ("myagent", "Message"),
    "myagent.logger": ("myagent", "logger"),
    "myagent.llm_logger": gettext_noop("Calls of the model are logged with --debug."),
    "myagent.stats": gettext_noop("The admin counts tokens and calls, by user and agent."),
    "myagent.prompt": gettext_noop("Write the prompt into system_prompt=…"),
    "myagent.tool.tool_collection": ("myagent.tool", "ToolCollection"),
    **dict.fromkeys(
        (
            *("myagent.tool.web_search", "myagent.tool.web_content", "myagent.tool.academic_search"),
            *("myagent.tool.code_execution", "myagent.tool.data_analysis", "myagent.tool.filesystem"),
            *("myagent.tool.planning", "myagent.tool.subagent"),
        ),
        _NO_TOOLS,
    ),
}
_NAMES: dict[str, str | tuple[str, str]] = {
    **dict.fromkeys(("BaseAgent", "ReActAgent", "AgentState"), _AGENT),
    "create_deep_agent": gettext_noop(
        "Write create_react_agent(tools=[…]): plans, files and helpers are tools of yours."
    ),
    **dict.fromkeys(("create_plan_solver", "PlanAgent", "SolverAgent", "PlanContext"), _NO_PLANS),
    **dict.fromkeys(("TraceManager", "trace_run", "trace_agent_step", "trace_tool_call", "get_trace_manager"), _SPANS),
    **dict.fromkeys(("AgentManager", "ServiceRegistry", "ConnectionRouter"), _MANY),
    **dict.fromkeys(("HealthMonitor",), gettext_noop("The server answers GET /healthz.")),
    **dict.fromkeys(("AgentWebSocketServer", "AgentSession", "serve", "server"), _SERVER),
    **dict.fromkeys(("ToolFailure", "CLIResult"), gettext_noop('Write ToolResult(error="why"), or raise ToolFailed.')),
    **dict.fromkeys(("ToolChoice", "TOOL_CHOICE_TYPE"), _DECIDES),
    **dict.fromkeys(("Memory", "StateManager"), _SESSIONS),
    "Role": gettext_noop('Roles are words: "user", "assistant", "tool".'),
    "ToolCall": ("myagent.messages", "ToolCall"),
    "settings": _SETTINGS,
}
_MEMBERS = {
    **dict.fromkeys(
        ("add_tool", "add_tools", "remove_tool", "tools"),
        gettext_noop("A collection of tools does not change. List them in create_react_agent(tools=[…])."),
    ),
    **dict.fromkeys(("tool_map", "get_tool", "list_tools"), gettext_noop("Write .get(name), or .names.")),
    **dict.fromkeys(("memory", "messages", "reset", "get_memory", "state", "final_response"), _SESSIONS),
    "available_tools": gettext_noop("Write .tools"),
}


def instead_of(error: BaseException) -> str:
    """What to write instead, when `error` says that `myagent` lacks something; else empty."""
    match error:
        case dataclasses.FrozenInstanceError():
            return _(
                "Agents and results do not change. Give the value when you make it, as create_react_agent(name=…)."
            )
        case ModuleNotFoundError(name=str(name)) if _is_ours(name):
            return _for_module(name)
        case ImportError(name=str(module)) if _is_ours(module):
            found = _IMPORT_FROM.search(str(error))
            return _for_name(found[1], module) if found else ""
        case AttributeError(obj=ModuleType() as module, name=str(name)) if _is_ours(module.__name__):
            return _for_name(name, module.__name__)
        case AttributeError(obj=thing, name=str(name)) if _is_ours(type(thing).__module__) and name in _MEMBERS:
            return _(_MEMBERS[name])
    return ""


def _words(instead: str | tuple[str, str]) -> str:
    """The sentence of a text, or for a module and the name in it that is meant."""
    if isinstance(instead, str):
        return _(instead)
    return _("Write: from %(module)s import %(name)s") % {"module": instead[0], "name": instead[1]}


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "myagent"


def _for_module(name: str) -> str:
    parent = name
    while parent:
        if parent in _MODULES:
            return _words(_MODULES[parent])
        parent = parent.rpartition(".")[0]
    return _did_you_mean(name, _modules()) or _offers("myagent")


def _for_name(name: str, module: str) -> str:
    if name in _NAMES:
        return _words(_NAMES[name])
    if f"{module}.{name}" in _MODULES:
        return _words(_MODULES[f"{module}.{name}"])
    for home in dict.fromkeys((module, "myagent", "myagent.tool")):
        offered = _offered(home)
        if name in offered:
            return _words((home, name))
        if close := _did_you_mean(name, offered):
            return close
    return _offers("myagent")


def _did_you_mean(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.75)
    return _("Did you mean %(name)s?") % {"name": close[0]} if close else ""


def _offers(module: str) -> str:
    return _("%(module)s has: %(names)s.") % {"module": module, "names": ", ".join(sorted(myagent.__all__))}


def _offered(module: str) -> list[str]:
    """The names that an agent file can import from one of our modules."""
    loaded = sys.modules.get(module)
    own = (
        {name for name, value in vars(loaded).items() if _is_ours(getattr(value, "__module__", ""))}
        if loaded
        else set()
    )
    listed = {*getattr(loaded, "__all__", ()), *getattr(loaded, "HOMES", ())}
    return sorted(name for name in own | listed if not name.startswith("_"))


def _modules() -> list[str]:
    return [item.name for item in pkgutil.walk_packages(myagent.__path__, "myagent.")]
