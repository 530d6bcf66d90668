"""Something about an agent that its author should know."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """It cannot work, or does something else than it says."""
    WARNING = "warning"
    """It works, and worse than it could."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file; `file` is empty and `line` None where nobody knows them."""

    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line is not None else self.file


NOWHERE = Place()


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
    place: Place = NOWHERE
    agent: str = ""
    tool: str = ""

    def as_json(self) -> dict[str, Any]:
        """The finding for programs."""
        found = asdict(self)
        place: dict[str, Any] = found.pop("place")
        return found | place
