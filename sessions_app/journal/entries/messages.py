"""A user's message, which begins a run or queues."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

from agents.budgets.allowances import Allowance
from agents.budgets.shares import Shares
from myagent.agent_definition import WhenBusy
from myagent.messages import Message as LibraryMessage
from myagent.protocol.error_codes import ErrorCode
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.allowance import check_allowance
from sessions_app.journal.entries.ending import cancel_run
from sessions_app.journal.entries.ownership import Lease, take_run
from sessions_app.journal.entry import Entry, RunRef
from sessions_app.journal.file_links import check_files, refer_to_files
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.journal.placing import user_said
from sessions_app.journal.refusal import Refused
from sessions_app.models import Message, Run, Session

TITLE_LENGTH = 60
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Posted:
    """How a message was stored. `begun` is set when its run begins at once, owned by the caller.

    With `steers` the message is for `run_id`, which is active, and nothing was logged; `last_seq` ends the log.
    """

    run_id: uuid.UUID
    message_id: str
    position: int
    begun: RunRef | None = None
    duplicate: bool = False
    ended: tuple[uuid.UUID, ...] = ()
    steers: bool = False
    last_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PostMessage(Entry):
    """A user's message and its run; begins at once when the session has no unfinished run and the caller's lease holds.

    Refused with `busy` unless it `takes_new`, with `session_closed`, with `session_busy` when the queue is full or the
    agent takes no queue, with `budget_exceeded`, `too_many_runs` or `too_many_messages` when `allowance` does not
    permit it, with `over_quota` when the session's owner has no room left in `shares`, and with `file_not_found` when
    one of its `files` was taken back.
    """

    needs_unfinished: ClassVar[bool] = True

    new_run_id: uuid.UUID
    message: LibraryMessage
    message_id: str | None
    origin: str
    lease: Lease | None
    when_busy: WhenBusy = "queue"
    max_queued: int = 10
    allowance: Allowance | None = None
    shares: Shares | None = None
    files: Collection[uuid.UUID] = ()
    """Those of the session that the message names."""
    token_id: int | None = None
    """The access token with which it is sent."""
    takes_new: bool = True
    """False to take only what was stored before, while the server is short of memory."""
    traceparent: str = ""
    """The trace that it is part of."""
    output_schema: dict[str, Any] | None = None
    """What its answer has to be, where it says so itself."""

    @property
    def client_id(self) -> str | None:
        # No event or claim tells whether the commit of a message that steers took effect, so its id has to.
        return self.message_id or (self.new_run_id.hex if self.when_busy == "steer" else None)

    @property
    def paced_user(self) -> int | None:
        return self.allowance.user_id if self.allowance is not None and self.allowance.is_paced else None

    @property
    def limited_agent(self) -> str | None:
        return self.lease.limited_agent if self.lease is not None else None

    def apply(self, batch: Batch) -> Posted:
        session = batch.locks.session(self.session_id)
        if self.client_id is not None and (first := batch.locks.client_ids.get((session.id, self.client_id))):
            return self._duplicate(batch, session, first)
        before = batch.locks.unfinished(session.id)
        self.check(batch, session, before)
        check_files(batch, session.id, self.files)
        ended: tuple[uuid.UUID, ...] = ()
        if self.when_busy == "interrupt":
            for other in before:
                cancel_run(batch, session, other, reason="new_message")
            ended, before = tuple(other.id for other in before), []
        return self.store(batch, session, before, self.usable_lease(batch, session, before), ended)

    def check(self, batch: Batch, session: LockedSession, before: list[LockedRun]) -> None:
        """Raise `Refused` when the message may not be sent now, `before` being the session's unfinished runs."""
        if not self.takes_new:
            raise Refused(ErrorCode.BUSY)
        if session.status != Session.Status.OPEN:
            raise Refused(ErrorCode.SESSION_CLOSED)
        self._check_room(before)
        if self.shares is not None:
            batch.shares.check_room(session, self.shares)
        if self.allowance is not None:
            check_allowance(batch, self.allowance, session, begins=not before)

    def usable_lease(self, batch: Batch, session: LockedSession, before: list[LockedRun]) -> Lease | None:
        """The lease under which the run begins at once; None when it queues. Raises `Refused` when it may not."""
        lease = self.lease if not before and self.lease is not None and self.lease.holds(batch) else None
        if lease is None and self.shares is not None:
            batch.shares.check_queue(session, self.shares)
        return lease

    def store(
        self,
        batch: Batch,
        session: LockedSession,
        before: list[LockedRun],
        lease: Lease | None,
        ended: tuple[uuid.UUID, ...] = (),
    ) -> Posted:
        """Write the message and its run."""
        # What has to be answered in a form of its own is for a run of its own.
        if self.when_busy == "steer" and self.output_schema is None and before and before[0].is_active:
            return replace(self, message_id=self.client_id)._steer(batch, session, before)
        run = self._insert(batch, session, before, begins=lease is not None)
        if lease is not None:
            take_run(batch, run, lease)
        message_id = self.message_id or uuid.uuid4().hex
        batch.log.append(session, user_said(self.message, run.id, message_id), origin=self.origin)
        batch.touch(session)
        begun: RunRef | None = None
        if lease is not None:
            begun = RunRef(session.id, run.id, run.epoch, session.user_id, history_end=session.last_position - 1)
        return Posted(run.id, message_id, _place([*before, run], run.id), begun, ended=ended)

    def _steer(self, batch: Batch, session: LockedSession, before: list[LockedRun]) -> Posted:
        """It is logged when it is read: by the run that is active, or by its own one after that."""
        self._insert(batch, session, before, begins=False, steers=True)
        batch.touch(session)
        return Posted(before[0].id, self.message_id or "", 0, steers=True, last_seq=session.last_seq)

    def _duplicate(self, batch: Batch, session: LockedSession, run_id: uuid.UUID) -> Posted:
        unfinished = batch.locks.unfinished(session.id)
        if unfinished and unfinished[0].is_active and any(run.id == run_id and run.steers for run in unfinished[1:]):
            steered = Posted(unfinished[0].id, self.message_id or "", 0, duplicate=True, steers=True)
            return replace(steered, last_seq=session.last_seq)
        position = _place(unfinished, run_id)
        return Posted(run_id, self.message_id or "", position, duplicate=True)

    def _check_room(self, before: list[LockedRun]) -> None:
        if not before or self.when_busy == "interrupt":
            return
        if self.when_busy == "reject":
            raise Refused(ErrorCode.SESSION_BUSY, reason="reject")
        if sum(run.status == Run.Status.QUEUED for run in before) >= self.max_queued:
            raise Refused(ErrorCode.SESSION_BUSY, reason="queue_full", limit=self.max_queued)

    def _insert(
        self, batch: Batch, session: LockedSession, before: list[LockedRun], *, begins: bool, steers: bool = False
    ) -> LockedRun:
        # Later than the others even in one batch with them, or from a process whose clock is slow.
        queued_at = max([batch.now, *(other.queued_at + _MICROSECOND for other in before)])
        run = LockedRun(
            self.new_run_id,
            session.id,
            Run.Status.QUEUED,
            owner="",
            epoch=0,
            attempts=0,
            queued_at=queued_at,
            steers=steers,
        )
        batch.locks.add_run(run)
        # It is False until a tool changes the state.
        columns = {"status": run.status, "queued_at": queued_at, "token_id": self.token_id, "end_state": False}
        columns |= {"steers": steers, "output_schema": self.output_schema}
        batch.writes.insert(Run, id=run.id, session_id=session.id, traceparent=self.traceparent, **columns)
        # A queued message gets its position when its run begins, so as not to fall between calls and their results.
        position = batch.take_positions(session) if begins else None
        batch.add_message(
            session,
            run_id=run.id,
            position=position,
            client_id=self.message_id,
            **Message.fields_of(self.message),
        )
        refer_to_files(batch, session.id, self.files)
        if self.message_id is not None:
            batch.locks.client_ids[session.id, self.message_id] = run.id
        if not session.title and (title := " ".join(self.message.text.split())[:TITLE_LENGTH]):
            session.title = title
            batch.writes.change(Session, session.id, title=title)
        return run


def _place(unfinished: list[LockedRun], run_id: uuid.UUID) -> int:
    """The position of a message in the queue, from 1; 0 when its run is active or over."""
    waiting = [run.id for run in unfinished if not run.is_active]
    return waiting.index(run_id) + 1 if run_id in waiting else 0
