"""What people ask for: sessions, messages, answers, cancels. Each is one entry, so races have one outcome."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import F
from django.db.models.functions import Greatest

from agents.allowances import Allowance
from myagent.agent import WhenBusy
from myagent.i18n import gettext as _
from myagent.messages import Message as LibraryMessage
from myagent.protocol.errors import ErrorCode
from myagent.protocol.server_base import ServerEvent
from myagent.protocol.server_events import (
    MessageMetadata,
    ResponseMetadata,
    SessionCreated,
    SessionCreatedMetadata,
    SessionEnd,
    SessionUpdated,
    SessionUpdatedMetadata,
    UserAnswered,
    UserSaid,
)
from sessions_app.batch import Batch, LockedRun, LockedSession, Refused
from sessions_app.entries.allowed import check_allowance
from sessions_app.entries.audited import note_answer, note_cancel
from sessions_app.entries.base import Entry, RunRef
from sessions_app.entries.broken_off import charge_broken_off
from sessions_app.entries.closing import cancel_run, delete_rows, end_of
from sessions_app.entries.ownership import Lease, take_run
from sessions_app.entries.runs import settle
from sessions_app.models import Confirmation, Message, Run, Session

TITLE_LENGTH = 60
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSession(Entry):
    """A new session, `session_id` chosen by the caller."""

    agent: str
    user_id: int | None
    connection_id: str
    title: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    request_id: str | None = None

    def apply(self, batch: Batch) -> None:
        batch.insert(
            Session,
            id=self.session_id,
            agent=self.agent,
            user_id=self.user_id,
            title=self.title,
            metadata=self.metadata,
            created_at=batch.now,
            active_at=batch.now,
        )
        session = LockedSession(
            self.session_id, self.agent, self.user_id, self.title, Session.Status.OPEN, last_seq=0, last_position=0
        )
        batch.sessions[session.id] = session
        metadata = SessionCreatedMetadata(
            agent_name=self.agent, connection_id=self.connection_id, request_id=self.request_id
        )
        batch.log(session, SessionCreated(content=_("The session was created."), metadata=metadata))


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a message. `lease` is set when the run begins at once, owned by the caller."""

    run_id: uuid.UUID
    message_id: str
    position: int
    lease: RunRef | None = None
    duplicate: bool = False
    ended: tuple[uuid.UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PostMessage(Entry):
    """A user's message and its run; begins at once when nothing is going on and the caller's lease is good for it.

    Refused with `session_closed`, with `session_busy` when the queue is full or the agent takes no queue, and with
    `budget_exceeded`, `too_many_runs` or `too_many_messages` when that is more than `allowance` allows.
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

    @property
    def client_id(self) -> str | None:
        return self.message_id

    @property
    def paced_user(self) -> int | None:
        return self.allowance.user_id if self.allowance is not None and self.allowance.is_paced else None

    @property
    def limited_agent(self) -> str | None:
        return self.lease.limited_agent if self.lease is not None else None

    def apply(self, batch: Batch) -> Posted:
        session = batch.session(self.session_id)
        if self.message_id is not None and (first := batch.client_ids.get((session.id, self.message_id))):
            return self._duplicate(batch, session, first)
        if session.status != Session.Status.OPEN:
            raise Refused(ErrorCode.SESSION_CLOSED)
        before = batch.unfinished(session.id)
        self._check_room(before)
        if self.allowance is not None:
            check_allowance(batch, self.allowance, session, begins=not before)
        ended: tuple[uuid.UUID, ...] = ()
        if self.when_busy == "interrupt":
            for other in before:
                cancel_run(batch, session, other, reason="new_message")
            ended, before = tuple(other.id for other in before), []
        lease = self.lease if not before and self.lease is not None and self.lease.holds(batch) else None
        run = self._insert(batch, session, before, begins=lease is not None)
        if lease is not None:
            take_run(batch, run, lease)
        message_id = self.message_id or uuid.uuid4().hex
        said = UserSaid(
            content=self.message.content
            if isinstance(self.message.content, str)
            else list(map(dict, self.message.content)),
            metadata=MessageMetadata(run_id=str(run.id), message_id=message_id),
        )
        batch.log(session, said, origin=self.origin)
        batch.touch(session)
        ref: RunRef | None = None
        if lease is not None:
            ref = RunRef(session.id, run.id, run.epoch, session.user_id, history_end=session.last_position - 1)
        return Posted(run.id, message_id, _place([*before, run], run.id), ref, ended=ended)

    def _duplicate(self, batch: Batch, session: LockedSession, run_id: uuid.UUID) -> Posted:
        position = _place(batch.unfinished(session.id), run_id)
        return Posted(run_id, self.message_id or "", position, duplicate=True)

    def _check_room(self, before: list[LockedRun]) -> None:
        if not before or self.when_busy == "interrupt":
            return
        if self.when_busy == "reject":
            raise Refused(ErrorCode.SESSION_BUSY, reason="reject")
        if sum(run.status == Run.Status.QUEUED for run in before) >= self.max_queued:
            raise Refused(ErrorCode.SESSION_BUSY, reason="queue_full", limit=self.max_queued)

    def _insert(self, batch: Batch, session: LockedSession, before: list[LockedRun], *, begins: bool) -> LockedRun:
        # Behind the others also when it comes in one batch with them, or from a process whose clock is slow.
        queued_at = max([batch.now, *(other.queued_at + _MICROSECOND for other in before)])
        run = LockedRun(
            self.new_run_id, session.id, Run.Status.QUEUED, owner="", epoch=0, attempts=0, queued_at=queued_at
        )
        batch.runs[run.id] = run
        batch.insert(Run, id=run.id, session_id=session.id, status=run.status, queued_at=queued_at)
        # Behind others a message gets its place when its run begins: not between their calls and results.
        position = batch.take_positions(session) if begins else None
        batch.insert(
            Message,
            session_id=session.id,
            run_id=run.id,
            position=position,
            client_id=self.message_id,
            created_at=batch.now,
            **Message.fields_of(self.message),
        )
        if self.message_id is not None:
            batch.client_ids[session.id, self.message_id] = run.id
        if not session.title and (title := " ".join(self.message.text.split())[:TITLE_LENGTH]):
            session.title = title
            batch.change(Session, session.id, title=title)
        return run


def _place(unfinished: list[LockedRun], run_id: uuid.UUID) -> int:
    """How many answers a message waits for: 0 when its run is going or over, the one that waits first is number 1."""
    waiting = [run.id for run in unfinished if not run.is_active]
    return waiting.index(run_id) + 1 if run_id in waiting else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerConfirmation(Entry):
    """A person's answer, once. Refused with `no_pending_confirmation`. Returns the run's id."""

    needs_unfinished: ClassVar[bool] = True

    step_id: str
    answer: dict[str, Any]
    by: str
    origin: str
    by_user: int | None = None

    def apply(self, batch: Batch) -> uuid.UUID:
        session = batch.session(self.session_id)
        batch.flush()
        confirmation = Confirmation.objects.filter(step_id=self.step_id, run__session_id=session.id).first()
        run = batch.runs.get(confirmation.run_id) if confirmation else None
        is_open = confirmation is not None and confirmation.answer is None and confirmation.expires_at > batch.now
        if confirmation is None or run is None or not run.is_active or not is_open:
            raise Refused(ErrorCode.NO_PENDING_CONFIRMATION)
        settle(batch, run, confirmation, self.answer, by=self.by)
        note_answer(batch, confirmation, self.by_user, confirmed=self.answer["confirmed"])
        answered = UserAnswered(
            step_id=self.step_id, content=self.answer, metadata=ResponseMetadata(run_id=str(run.id))
        )
        batch.log(session, answered, origin=self.origin)
        batch.touch(session)
        return run.id


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRuns(Entry):
    """End everything that goes on in a session, and what waits, or `only` one run of it. Returns the ended runs' ids.

    `by` is the user who wants it, for the audit.
    """

    needs_unfinished: ClassVar[bool] = True

    reason: str = "user"
    by: int | None = None
    only: uuid.UUID | None = None

    def apply(self, batch: Batch) -> list[uuid.UUID]:
        session = batch.session(self.session_id)
        runs = [run for run in batch.unfinished(session.id) if self.only in (None, run.id)]
        for run in runs:
            cancel_run(batch, session, run, self.reason)
            note_cancel(batch, run, self.by, self.reason)
        return [run.id for run in runs]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseSession(CancelRuns):
    """End a conversation. Refused with `session_closed` when it is over already."""

    reason: str = "session_closed"

    def apply(self, batch: Batch) -> list[uuid.UUID]:
        session = batch.session(self.session_id)
        if session.status != Session.Status.OPEN:
            raise Refused(ErrorCode.SESSION_CLOSED)
        ended = CancelRuns.apply(self, batch)
        session.status = Session.Status.CLOSED
        batch.change(Session, session.id, status=session.status)
        batch.log(session, SessionEnd(content=_("The session was closed.")))
        return ended


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSession(Entry):
    """Change title or metadata; None leaves one as it is."""

    title: str | None
    metadata: dict[str, Any] | None

    def apply(self, batch: Batch) -> None:
        session = batch.session(self.session_id)
        batch.flush()
        metadata = self.metadata
        if metadata is None:
            metadata = Session.objects.values_list("metadata", flat=True).get(pk=session.id)
        session.title = session.title if self.title is None else self.title
        batch.change(Session, session.id, title=session.title, metadata=metadata)
        updated = SessionUpdatedMetadata(title=session.title, metadata=metadata)
        batch.log(session, _updated(updated))


def _updated(metadata: SessionUpdatedMetadata) -> ServerEvent:
    return SessionUpdated(content=_("The session was changed."), metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSession(Entry):
    """Delete a session and all that is stored of it. Returns the ids of the runs that were going."""

    needs_unfinished: ClassVar[bool] = True

    def apply(self, batch: Batch) -> list[uuid.UUID]:
        session = batch.session(self.session_id)
        runs = batch.unfinished(session.id)
        for run in runs:
            charge_broken_off(batch, session, run)
        batch.ended += [end_of(batch, session, run, "deleted") for run in runs]
        batch.flush()
        delete_rows(session.id)
        batch.forget(session.id)
        return [run.id for run in runs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge(Entry):
    """A client has everything up to `seq`; only the newest counts."""

    only_deltas: ClassVar[bool] = True

    seq: int

    def apply(self, batch: Batch) -> None:
        session = batch.session(self.session_id)
        newest = Greatest(F("acked_seq"), min(self.seq, session.last_seq))
        Session.objects.filter(pk=session.id).update(acked_seq=newest)
