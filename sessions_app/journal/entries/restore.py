"""A session that begins with what was said before: restored from an exported state, or brought along by a client."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from myagent.messages import Message as LibraryMessage
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.sessions import CreateSession
from sessions_app.journal.stored_size import size_of_state
from sessions_app.models import Message, Run, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSession(CreateSession):
    """A new session with the history and the tools' state of an exported one.

    History and state belong to one run that is over, so that its positions come before all that follows. The log starts
    empty: the events of the old session have the old session's numbers.
    """

    new_run_id: uuid.UUID
    messages: Sequence[LibraryMessage] = ()
    tool_state: dict[str, Any] = field(default_factory=dict)
    steps: int = 0

    def apply(self, batch: Batch) -> Any:
        CreateSession.apply(self, batch)
        batch.writes.change(Session, self.session_id, state=self.tool_state)
        if not (self.messages or self.tool_state):
            return
        batch.writes.insert(
            Run,
            id=self.new_run_id,
            session_id=self.session_id,
            status=Run.Status.SUCCEEDED,
            steps=self.steps,
            queued_at=batch.now,
            started_at=batch.now,
            finished_at=batch.now,
            end_state=self.tool_state or False,
        )
        session = batch.locks.session(self.session_id)
        batch.writes.change(Session, session.id, stored_bytes=session.grow(size_of_state(self.tool_state)))
        if not self.messages:
            return
        first = batch.take_positions(session, len(self.messages))
        for position, message in enumerate(self.messages, first):
            batch.add_message(session, run_id=self.new_run_id, position=position, **Message.fields_of(message))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenThread(RestoreSession):
    """The session that is found by its `thread`; where there is none yet, a new one with the history that is brought
    along. Without a `thread` it is always a new one. Returns its id.
    """

    def apply(self, batch: Batch) -> uuid.UUID:
        if self.thread is not None:
            batch.writes.flush()
            found = Session.objects.filter(thread=self.thread).values_list("pk", flat=True).first()
            if found is not None:
                return found
        RestoreSession.apply(self, batch)
        return self.session_id
