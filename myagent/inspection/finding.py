"""Something about an agent that its author should know."""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from myagent.tool.base_tool import BaseTool
from myagent.tool.function_tool import FunctionTool


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """It cannot work, or does something else than it says."""
    WARNING = "warning"
    """It works, and worse than it could."""


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A line of a file; `file` is empty and `line` None where nobody knows them."""

    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line is not None else self.file


NOWHERE = SourceLocation()


def place_of(tool: BaseTool) -> SourceLocation:
    """Where a tool is written: its function, or its class."""
    written = inspect.unwrap(tool.execute) if isinstance(tool, FunctionTool) else type(tool)
    try:
        lines, first = inspect.getsourcelines(written)
        file = inspect.getsourcefile(written)
    except (OSError, TypeError, SyntaxError):  # made without a file, or the file changed meanwhile
        return NOWHERE
    below_decorators = (number for number, line in enumerate(lines, first) if re.match(r"\s*(async|def|class)\b", line))
    return SourceLocation(file or "", next(below_decorators, first))


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
