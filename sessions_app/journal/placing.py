"""What users said: as the log has it, and when it becomes part of the history."""

from __future__ import annotations

import uuid

from myagent.messages import Message as LibraryMessage
from myagent.protocol.server_events import MessageMetadata, UserSaid
from sessions_app.journal.batch import Batch
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.models import Message


def user_said(message: LibraryMessage, run_id: uuid.UUID, message_id: str) -> UserSaid:
    """The event of a user's message."""
    content = message.content if isinstance(message.content, str) else list(map(dict, message.content))
    return UserSaid(content=content, metadata=MessageMetadata(run_id=str(run_id), message_id=message_id))


def place_messages(batch: Batch, session: LockedSession, run: LockedRun) -> None:
    """Give the messages of a run that begins, or ends before it began, their positions in the history."""
    if run.steers:
        log_steering(batch, session, run, read_by=run)
        return
    batch.writes.flush()
    for pk in Message.objects.filter(run_id=run.id, position=None).order_by("pk").values_list("pk", flat=True):
        batch.writes.change(Message, pk, position=batch.take_positions(session))


def log_steering(batch: Batch, session: LockedSession, run: LockedRun, *, read_by: LockedRun) -> list[LibraryMessage]:
    """Log the messages that wait to steer another run, as part of `read_by`, and place them in the history.

    Returns them. Until then nobody but their sender knows of them, so that the log has them under the run that
    answered them: whether there is still a run to steer shows only when one asks.
    """
    batch.writes.flush()
    rows = list(Message.objects.filter(run_id=run.id, position=None).order_by("pk"))
    messages = [row.to_library() for row in rows]
    for row, message in zip(rows, messages, strict=True):
        batch.writes.change(Message, row.pk, run_id=read_by.id, position=batch.take_positions(session))
        if row.client_id is not None:  # who sends it again in this commit learns of the run that has it now
            batch.locks.client_ids[session.id, row.client_id] = read_by.id
        batch.log.append(session, user_said(message, read_by.id, row.client_id or ""))
    return messages
