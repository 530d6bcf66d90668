"""What comes after a conversation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leave:
    """The program ends with this code."""

    code: int = 0


@dataclass(frozen=True, slots=True)
class GoOn:
    """A session is to go on, or a new one to begin where there is no id; `agent` None is the default one.

    `instead_of` is what to go back to when that is not possible.
    """

    session_id: str | None = None
    agent: str | None = None
    title: str = ""
    instead_of: GoOn | None = None


Next = Leave | GoOn
