"""What comes after a conversation: another one, or the end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leave:
    """End the program with this exit code."""

    code: int = 0


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Resume a session, or begin a new one where there is no id; `agent` None is the default one.

    `instead_of` is what to return to when that is not possible.
    """

    session_id: str | None = None
    agent: str | None = None
    title: str = ""
    instead_of: OpenSession | None = None


Next = Leave | OpenSession
