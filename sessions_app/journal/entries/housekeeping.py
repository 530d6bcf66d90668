"""Pruning, closing and compacting old conversations. Each entry checks under the locks that it is still due."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.db.models import Q

from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.sessions import CloseSession, DeleteSession
from sessions_app.journal.entry import Entry
from sessions_app.journal.locked_rows import LockedSession
from sessions_app.journal.refusal import Refused
from sessions_app.journal.stored_size import frames_size, stored_bytes
from sessions_app.models import Event, Run, Session

IN_USE = "in_use"
NOT_DUE = "not_due"
PROGRESS_REACH = 10_000
"""Events before an answer that are searched for the progress of tools: those of a long run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneSession(DeleteSession):
    """Delete a session that was last active before this time. Refused with `in_use` when it was used since."""

    before: datetime

    def apply(self, batch: Batch) -> list[uuid.UUID]:
        _check_idle(batch, batch.locks.session(self.session_id), self.before)
        return DeleteSession.apply(self, batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseIdleSession(CloseSession):
    """Close a session that was last active before this time. Refused with `in_use` when it was used since."""

    before: datetime

    def apply(self, batch: Batch) -> list[uuid.UUID]:
        _check_idle(batch, batch.locks.session(self.session_id), self.before)
        return CloseSession.apply(self, batch)


def _check_idle(batch: Batch, session: LockedSession, before: datetime) -> None:
    if batch.locks.unfinished(session.id):
        raise Refused(IN_USE)
    batch.writes.flush()
    if Session.objects.filter(pk=session.id, active_at__gte=before).exists():
        raise Refused(IN_USE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactAnswer(Entry):
    """Delete the events from `first` to `last` that have `step_id`: deltas of the text of the event `final_seq`.

    With `is_done` the run has no more of them, and the progress of its tools, which have results, is deleted as well.
    Refused with `not_due` when that is so already: then the deltas that were found may be those of another step.
    Returns how many events were deleted.
    """

    may_wait: ClassVar[bool] = True

    of_run: uuid.UUID
    final_seq: int
    step_id: str
    first: int
    last: int
    is_done: bool

    @property
    def run_id(self) -> uuid.UUID | None:
        return self.of_run

    def apply(self, batch: Batch) -> int:
        session = batch.locks.session(self.session_id)
        run = Run.objects.filter(pk=self.of_run, session_id=session.id, streamed_until=self.final_seq)
        if not run.exists():
            raise Refused(NOT_DUE)
        wanted = Q(seq__range=(self.first, self.last), name="agent.partial_answer", step_id=self.step_id)
        if self.is_done:
            wanted |= Q(seq__range=(self.final_seq - PROGRESS_REACH, self.final_seq), name="agent.tool_progress")
        pieces = Event.objects.filter(wanted, session_id=session.id)
        size = session.grow(-frames_size(pieces)) if session.stored_bytes is not None else None
        batch.writes.change(Session, session.id, stored_bytes=size)
        deleted = pieces._raw_delete(pieces.db)
        if self.is_done:
            run.update(streamed_until=None)
        return deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class RecountSession(Entry):
    """Count what a session takes in the database; `only_new` leaves one that was counted before as it is.

    Returns by how many bytes the sum was wrong, 0 for one that was not counted before.
    """

    only_new: bool = False

    def apply(self, batch: Batch) -> int:
        session = batch.locks.session(self.session_id)
        if self.only_new and session.stored_bytes is not None:
            return 0
        batch.writes.flush()
        before, session.stored_bytes = session.stored_bytes, stored_bytes(session.id)
        batch.writes.change(Session, session.id, stored_bytes=session.stored_bytes)
        return 0 if before is None else session.stored_bytes - before
