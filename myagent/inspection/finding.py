"""Something about an agent that its author should know."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from myagent.tool.base_tool import BaseTool
from myagent.tool.function_tool import FunctionTool
from myagent.tool.signature import code_of
from myagent.tool.source_location import NOWHERE, SourceLocation, location_of


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """It cannot work, or does something else than it says."""
    WARNING = "warning"
    """It works, and worse than it could."""


def place_of(tool: BaseTool) -> SourceLocation:
    """Where a tool is written: its function, or its class."""
    return location_of(code_of(tool.execute) if isinstance(tool, FunctionTool) else type(tool))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong, and what to do about it.

    `code` is a stable snake_case word, `problem` and `cure` are sentences for people; `tool` is empty when the finding
    is about the agent as a whole, `agent` when its file could not be loaded.
    """

    code: str
    severity: Severity
    problem: str
    cure: str = ""
    place: SourceLocation = NOWHERE
    agent: str = ""
    tool: str = ""

    def as_json(self) -> dict[str, Any]:
        """The finding for programs."""
        found = asdict(self)
        place: dict[str, Any] = found.pop("place")
        return found | place
