"""What is wrong with an agent as a whole, and with each of its tools."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

from myagent.agent import Agent
from myagent.i18n import gettext as _
from myagent.inspection.finding import Finding, Severity, place_of
from myagent.inspection.schema_checks import inspect_parameters
from myagent.tool.base_tool import BaseTool, asks
from myagent.tool.source_location import NOWHERE, SourceLocation

_DANGEROUS = frozenset(
    {
        *("delete", "drop", "destroy", "erase", "wipe", "purge", "truncate", "uninstall"),
        *("kill", "shutdown", "reboot", "transfer", "pay", "refund"),
    }
)


def inspect_agent(agent: Agent, file: str = "") -> list[Finding]:
    """Everything that is found, in the order of the tools; `file` is where the agent was loaded from."""
    found = [*_inspect_prompt(agent)]
    for tool in agent.tools:
        found += _inspect_tool(tool)
    return [
        replace(item, agent=agent.name, place=_shortened(item.place) if item.place.file else SourceLocation(file))
        for item in found
    ]


def _inspect_prompt(agent: Agent) -> Iterator[Finding]:
    if not callable(agent.system_prompt) and not agent.system_prompt.strip():
        problem = _("The system prompt is empty: the model does not know its purpose.")
        yield _warning("no_system_prompt", problem, _('Give the agent a system_prompt="…".'))
    if agent.tool_errors == "message":
        problem = _("The model and all clients are told what exceptions in tools say, which may be secret.")
        cure = _('Leave tool_errors="message" out, or make sure that no exception holds a key or an address.')
        yield _warning("tool_errors", problem, cure)


def _inspect_tool(tool: BaseTool) -> Iterator[Finding]:
    place = place_of(tool)
    if not tool.schema()["function"]["description"].strip():
        problem = _("The tool '%(tool)s' has no description: the model has only its name to decide by.")
        cure = _("Say what it does in its docstring, or in `description`.")
        yield _warning("no_description", problem, cure, tool.name, place)
    for finding in inspect_parameters(tool):
        yield replace(finding, place=place)
    if _looks_dangerous(tool):
        problem = _("The tool '%(tool)s' sounds as if it could not be undone, and no user is asked before it runs.")
        cure = _("Set requires_confirmation=True, or a function of the arguments.")
        yield _warning("dangerous_tool", problem, cure, tool.name, place)


def _warning(code: str, problem: str, cure: str, tool: str = "", place: SourceLocation = NOWHERE) -> Finding:
    return Finding(
        code=code, severity=Severity.WARNING, problem=problem % {"tool": tool}, cure=cure, place=place, tool=tool
    )


def _looks_dangerous(tool: BaseTool) -> bool:
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", tool.name)]
    if not (words and words[0] in _DANGEROUS):
        return False
    return asks(tool) is False and not _mentions_confirm(tool, tool.execute, set())


def _mentions_confirm(tool: BaseTool, function: Any, seen: set[CodeType]) -> bool:
    """Whether the code of a function, or of functions and methods beside it that it names, has the word `confirm`."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    if code is None or code in seen:
        return False
    seen.add(code)
    if {"confirm", "confirm_sync"} & set(code.co_names):
        return True
    named = [function.__globals__.get(name) or getattr(type(tool), name, None) for name in code.co_names]
    return any(_mentions_confirm(tool, other, seen) for other in named if inspect.isfunction(other))


def _shortened(place: SourceLocation) -> SourceLocation:
    """The place with its path from the current folder, where it lies in there."""
    path = Path(place.file)
    cwd = Path.cwd()
    return replace(place, file=str(path.relative_to(cwd))) if path.is_relative_to(cwd) else place
