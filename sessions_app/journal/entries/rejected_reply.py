"""A reply of the model that was not taken for the answer."""

from __future__ import annotations

from dataclasses import dataclass

from myagent.events import ReplyRejected
from myagent.protocol.server_base import ServerEvent
from sessions_app.journal.batch import Batch
from sessions_app.journal.entry import RunEntry
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.models import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRejected(RunEntry):
    """The reply as the history has it, with what the model is told of it, all at once: no call is ever left open."""

    rejected: ReplyRejected
    events: tuple[ServerEvent, ...]

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        messages = self.rejected.messages
        first = batch.take_positions(session, len(messages))
        for position, message in enumerate(messages, first):
            batch.add_message(session, run_id=run.id, position=position, **Message.fields_of(message))
        batch.change_run(run, steps=self.rejected.step)
        batch.charge(session, run, self.rejected.usage)
        for event in self.events:
            batch.log.append(session, event)
