"""What the agent of the rounds and those who judge it have agreed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MASKED, SHOWN = "4111-1111", "(card)"
"""What a hook makes of what, before the model reads it."""
FORBIDDEN = "forbidden"
"""Messages with it are refused."""
SECRET = "secret"
"""So are answers."""
CLOSED = "closed"
"""Calls with it in their key are not run."""

LIMITS: dict[str, Any] = {
    "max_steps": 4,
    "max_tool_calls": 5,
    "repeat_limit": 2,
    "max_seconds": 600,
    "max_tokens": 100_000,
}


@dataclass
class Total:
    """The value of an answer."""

    total: int
    note: str = ""
