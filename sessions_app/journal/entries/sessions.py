"""What users cause apart from messages: sessions, answers, cancels. Each is one entry, so races have one winner."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.db.models import F
from django.db.models.functions import Greatest

from agents.budgets.shares import Sharer, Shares
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.server_base import ServerEvent
from myagent.protocol.server_events import (
    ForkedFrom,
    ResponseMetadata,
    SessionCreated,
    SessionCreatedMetadata,
    SessionEnd,
    SessionUpdated,
    SessionUpdatedMetadata,
    UserAnswered,
)
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.audit_trail import log_answer, log_cancel
from sessions_app.journal.entries.ending import cancel_run, delete_rows, end_of, remember_deleted
from sessions_app.journal.entries.partial_cost import charge_broken_off
from sessions_app.journal.entries.runs import settle
from sessions_app.journal.entry import Entry
from sessions_app.journal.locked_rows import LockedSession
from sessions_app.journal.refusal import Refused
from sessions_app.models import Confirmation, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSession(Entry):
    """A new session, `session_id` chosen by the caller. Refused with `over_quota` where `shares` say so."""

    agent: str
    user_id: int | None
    connection_id: str
    title: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    visitor: str | None = None
    shares: Shares | None = None
    forked_from: ForkedFrom | None = None
    family_id: uuid.UUID | None = None
    thread: str | None = None

    @property
    def sharer(self) -> Sharer:
        return Sharer(self.user_id, self.visitor)

    @property
    def counted_sharer(self) -> Sharer | None:
        return self.sharer if self.shares is not None and self.shares.of(self.sharer).sessions is not None else None

    def apply(self, batch: Batch) -> Any:
        self.check(batch)
        self.insert(batch)

    def check(self, batch: Batch) -> None:
        """Raise `Refused` when there may be no further session."""
        if self.shares is not None:
            batch.shares.check_new_session(self.sharer, self.shares)

    def insert(self, batch: Batch) -> LockedSession:
        """Write the session and the beginning of its log."""
        batch.writes.insert(
            Session,
            id=self.session_id,
            agent=self.agent,
            user_id=self.user_id,
            title=self.title,
            metadata=self.metadata,
            visitor=self.visitor,
            stored_bytes=0,
            forked_from=self.forked_from.model_dump(exclude_none=True) if self.forked_from is not None else None,
            family_id=self.family_id,
            thread=self.thread,
            created_at=batch.now,
            active_at=batch.now,
        )
        session = LockedSession(
            self.session_id,
            self.agent,
            self.user_id,
            self.title,
            Session.Status.OPEN,
            last_seq=0,
            last_position=0,
            visitor=self.visitor,
            stored_bytes=0,
        )
        batch.locks.add_session(session)
        metadata = SessionCreatedMetadata(
            agent_name=self.agent,
            connection_id=self.connection_id,
            request_id=self.request_id,
            forked_from=self.forked_from,
        )
        batch.log.append(session, SessionCreated(content=_("The session was created."), metadata=metadata))
        return session


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerConfirmation(Entry):
    """A user's answer to a confirmation, once. Refused with `no_pending_confirmation`. Returns the run's id."""

    needs_unfinished: ClassVar[bool] = True

    step_id: str
    answer: dict[str, Any]
    by: str
    origin: str
    by_user: int | None = None

    def apply(self, batch: Batch) -> uuid.UUID:
        session = batch.locks.session(self.session_id)
        batch.writes.flush()
        confirmation = Confirmation.objects.filter(step_id=self.step_id, run__session_id=session.id).first()
        run = batch.locks.runs.get(confirmation.run_id) if confirmation else None
        is_open = confirmation is not None and confirmation.answer is None and confirmation.expires_at > batch.now
        if confirmation is None or run is None or not run.is_active or not is_open:
            raise Refused(ErrorCode.NO_PENDING_CONFIRMATION)
        settle(batch, run, confirmation, self.answer, by=self.by)
        log_answer(batch, confirmation, self.by_user, confirmed=self.answer["confirmed"])
        answered = UserAnswered(
            step_id=self.step_id, content=self.answer, metadata=ResponseMetadata(run_id=str(run.id))
        )
        batch.log.append(session, answered, origin=self.origin)
        batch.touch(session)
        return run.id


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRuns(Entry):
    """Cancel the unfinished runs of a session, or `only` one of them. Returns the ids of those that it ended.

    `by` is the user who cancels, for the audit log.
    """

    needs_unfinished: ClassVar[bool] = True

    reason: str = "user"
    by: int | None = None
    only: uuid.UUID | None = None

    def apply(self, batch: Batch) -> list[uuid.UUID]:
        session = batch.locks.session(self.session_id)
        runs = [run for run in batch.locks.unfinished(session.id) if self.only in (None, run.id)]
        for run in runs:
            cancel_run(batch, session, run, self.reason)
            log_cancel(batch, run, self.by, self.reason)
        return [run.id for run in runs]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseSession(CancelRuns):
    """Close a session and cancel its unfinished runs. Refused with `session_closed` when it is closed already."""

    reason: str = "session_closed"

    def apply(self, batch: Batch) -> list[uuid.UUID]:
        session = batch.locks.session(self.session_id)
        if session.status != Session.Status.OPEN:
            raise Refused(ErrorCode.SESSION_CLOSED)
        ended = CancelRuns.apply(self, batch)
        session.status = Session.Status.CLOSED
        batch.writes.change(Session, session.id, status=session.status)
        batch.log.append(session, SessionEnd(content=_("The session was closed.")))
        return ended


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSession(Entry):
    """Change title or metadata; None leaves it unchanged. Refused with `over_quota` where `shares` say so."""

    title: str | None
    metadata: dict[str, Any] | None
    shares: Shares | None = None

    def apply(self, batch: Batch) -> None:
        session = batch.locks.session(self.session_id)
        if self.shares is not None:
            batch.shares.check_room(session, self.shares)
        batch.writes.flush()
        metadata = self.metadata
        if metadata is None:
            metadata = Session.objects.values_list("metadata", flat=True).get(pk=session.id)
        session.title = session.title if self.title is None else self.title
        batch.writes.change(Session, session.id, title=session.title, metadata=metadata)
        updated = SessionUpdatedMetadata(title=session.title, metadata=metadata)
        batch.log.append(session, _updated(updated))


def _updated(metadata: SessionUpdatedMetadata) -> ServerEvent:
    return SessionUpdated(content=_("The session was changed."), metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSession(Entry):
    """Delete a session and all that is stored of it. Returns the ids of the runs that were unfinished."""

    needs_unfinished: ClassVar[bool] = True
    loses_files: ClassVar[bool] = True

    def apply(self, batch: Batch) -> list[uuid.UUID]:
        session = batch.locks.session(self.session_id)
        runs = batch.locks.unfinished(session.id)
        for run in runs:
            charge_broken_off(batch, session, run)
        batch.ended += [end_of(batch, session, run, "deleted") for run in runs]
        batch.writes.flush()
        remember_deleted(session, batch.now)
        delete_rows(session.id, batch.now)
        batch.forget(session.id)
        return [run.id for run in runs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge(Entry):
    """A client has every event up to `seq`; the highest `seq` counts."""

    may_wait: ClassVar[bool] = True

    seq: int

    def apply(self, batch: Batch) -> None:
        session = batch.locks.session(self.session_id)
        newest = Greatest(F("acked_seq"), min(self.seq, session.last_seq))
        Session.objects.filter(pk=session.id).update(acked_seq=newest)
