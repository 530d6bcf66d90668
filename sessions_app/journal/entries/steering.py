"""Messages that wait: read by the run that they steer, or taken back before anybody has read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from myagent.i18n import gettext as _
from myagent.messages import Message as LibraryMessage
from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.server_events import Interrupted, InterruptedMetadata
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.ending import end_over_its_owner
from sessions_app.journal.entry import Entry, RunEntry
from sessions_app.journal.file_links import release_files
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.journal.placing import log_steering
from sessions_app.journal.refusal import Refused
from sessions_app.journal.stored_size import size_of_message
from sessions_app.models import Message, Run, Session

WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSteering(RunEntry):
    """The run reads what was said to steer it: from now on these messages are its own. Returns them, oldest first."""

    needs_unfinished: ClassVar[bool] = True

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> list[LibraryMessage]:
        messages: list[LibraryMessage] = []
        for other in batch.locks.unfinished(session.id):
            if other.steers and not other.is_active:
                messages += log_steering(batch, session, other, read_by=run)
                _remove(batch, other)
        return messages


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawMessage(Entry):
    """Take a message back that waits; again, if need be.

    Refused with `message_not_found`, and with `message_read` when its run began, or the run that it steers has read it.
    """

    needs_unfinished: ClassVar[bool] = True

    message_id: str

    @property
    def client_id(self) -> str | None:
        return self.message_id

    def apply(self, batch: Batch) -> None:
        session = batch.locks.session(self.session_id)
        run_id = batch.locks.client_ids.get((session.id, self.message_id))
        if run_id is None:
            raise Refused(ErrorCode.MESSAGE_NOT_FOUND)
        waiting = {run.id: run for run in batch.locks.unfinished(session.id) if not run.is_active}
        run = waiting.get(run_id)
        if run is None:
            if self._is_withdrawn(batch, session):
                return
            raise Refused(ErrorCode.MESSAGE_READ)
        if run.steers:
            self._forget(batch, session, run)
            return
        words = _("The message was taken back.")
        interrupted = Interrupted(content=words, metadata=InterruptedMetadata(run_id=str(run.id), reason=WITHDRAWN))
        # Without a place in the history, the message is read by nobody.
        end_over_its_owner(batch, session, run, interrupted, status=Run.Status.CANCELLED, reason=WITHDRAWN)

    def _is_withdrawn(self, batch: Batch, session: LockedSession) -> bool:
        batch.writes.flush()
        return Message.objects.filter(session_id=session.id, client_id=self.message_id, position=None).exists()

    def _forget(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        """Nobody was told of a message that was to steer a run, so nothing of it is left."""
        batch.writes.flush()
        said = Message.objects.filter(run_id=run.id)
        rows = list(said)
        size = sum(size_of_message(Message.fields_of(row.to_library())) for row in rows)
        said._raw_delete(said.db)
        release_files(batch, session.id, [part for row in rows for part in row.parts or ()])
        del batch.locks.client_ids[session.id, self.message_id]
        batch.writes.change(Session, session.id, stored_bytes=session.grow(-size))
        _remove(batch, run)


def _remove(batch: Batch, run: LockedRun) -> None:
    """Delete the row of a run that never began and has no messages."""
    batch.writes.flush()
    row = Run.objects.filter(pk=run.id)
    row._raw_delete(row.db)
    batch.locks.remove_run(run)
