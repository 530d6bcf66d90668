"""Reads a session as a state to export. Synchronous; called in a database thread."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from myagent.messages import Message as LibraryMessage
from sessions_app.models import Message, Run, Session
from sessions_app.queries import SessionGone
from sessions_app.state_export.seal import LIMIT_BYTES, SavedState, Sealed, close_calls, cut, message_size, seal

_PAGE = 100
_COLUMNS = ("role", "content", "parts", "tool_calls", "tool_call_id", "position")
_ATTEMPTS = 5


def export(session_id: uuid.UUID, username: str | None) -> tuple[SavedState, Sealed]:
    """The state of a session, bound to `username`, and its sealed form.

    An active run is in it as far as it has committed. Raises `SessionGone`, `ProtocolError`.
    """
    now = datetime.now(UTC)
    messages, is_cut, row = _read(session_id)
    saved = SavedState(
        session_id=session_id,
        user=username,
        agent=row["agent"],
        title=row["title"],
        metadata=row["metadata"] or {},
        tool_state=row["state"] or {},
        messages=close_calls(messages),
        last_seq=row["last_seq"],
        step=_step(session_id),
        is_cut=is_cut,
    )
    saved = cut(saved, now)
    return saved, seal(saved, now)


def _read(session_id: uuid.UUID) -> tuple[list[LibraryMessage], bool, dict[str, Any]]:
    """Messages, whether older ones were left out, and the session's row, all from one moment if possible.

    Not in a transaction: on SQLite it would lock out all writers, and on PostgreSQL it would be no snapshot. Every
    change of a history is logged, so nothing changed if the log did not grow meanwhile. In a session that is never idle
    the row is newer than the messages: it may have a tool's effect without its result, as `close_calls` says then.
    """
    row = _row(session_id)
    for _ in range(_ATTEMPTS):
        messages, is_cut = _newest(session_id)
        seen, row = row["last_seq"], _row(session_id)
        if row["last_seq"] == seen:
            break
    return messages, is_cut, row


def _row(session_id: uuid.UUID) -> dict[str, Any]:
    columns = Session.objects.filter(pk=session_id).values("agent", "title", "metadata", "state", "last_seq").first()
    if columns is None:
        raise SessionGone
    return dict(columns)


def _newest(session_id: uuid.UUID) -> tuple[list[LibraryMessage], bool]:
    """The newest messages that a state may have room for, in order; and whether there are older ones."""
    waiting = Message.objects.filter(session_id=session_id, position=None, run__finished_at=None).order_by(
        "-run__queued_at", "-pk"
    )
    newest = [row.to_library() for row in waiting.only(*_COLUMNS)]
    size = sum(map(message_size, newest))
    placed = Message.objects.filter(session_id=session_id).order_by("-position").only(*_COLUMNS)
    page = list(placed.filter(position__isnull=False)[:_PAGE])
    while page and size <= LIMIT_BYTES:
        newest += (messages := [row.to_library() for row in page])
        size += sum(map(message_size, messages))
        page = list(placed.filter(position__lt=page[-1].position)[:_PAGE])
    return newest[::-1], bool(page)


def _step(session_id: uuid.UUID) -> int:
    """The last committed step of the active run, else of the last run."""
    begun = Run.objects.filter(session_id=session_id, started_at__isnull=False).order_by("-started_at")
    return begun.values_list("steps", flat=True).first() or 0


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is of a session."""

    message_count: int
    step: int
    is_open: bool


def extent(session_id: uuid.UUID) -> Extent:
    """How much there is of a session; all zero when it was deleted meanwhile."""
    is_open = Session.objects.filter(pk=session_id, status=Session.Status.OPEN).exists()
    return Extent(Message.objects.filter(session_id=session_id).count(), _step(session_id), is_open)
