"""What is in progress in a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Step:
    """The step that the model is at. `began` is by this computer's clock, `began_at` by the server's."""

    number: int
    began: float
    began_at: str
    reasoning: str = ""
    text: str = ""


@dataclass(slots=True)
class RunningCall:
    """A tool call without a result yet."""

    tool: str
    args: dict[str, Any]
    began: float
    progress: str = ""
    percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question whether a tool may run."""

    step_id: str
    call_step_id: str
    tool: str
    description: str
    args: dict[str, Any]
    words: str
    timeout_seconds: float
