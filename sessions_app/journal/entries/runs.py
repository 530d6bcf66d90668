"""What the owner of a run writes while it is active, and at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from myagent.events import HistorySummarized, ModelReplied, ToolFinished
from myagent.llm import Usage
from myagent.messages import Message as LibraryMessage
from myagent.protocol.server_base import ServerEvent
from myagent.protocol.server_events import FinalAnswer, PartialAnswer, RunFailed
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.ending import SILENCE, close_run
from sessions_app.journal.entry import RunEntry
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.journal.stored_size import size_of_state
from sessions_app.models import Confirmation, Message, Run, Session, Summary, ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvents(RunEntry):
    """Events that are logged and change nothing else."""

    events: tuple[ServerEvent, ...]

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        for event in self.events:
            batch.log.append(session, event)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginStep(LogEvents):
    """A step, or another attempt at it. `model` is the one that is asked, empty where models have no prices."""

    model: str

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        if run.model != self.model:
            batch.change_run(run, model=self.model)
        LogEvents.write(self, batch, session, run)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDeltas(LogEvents):
    """Deltas of streamed text."""

    may_wait: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreReply(RunEntry):
    """A reply that asks for tools: the message, its calls, and positions in the history for their results.

    Returns the first of these positions; the result of call `index` belongs `index` positions after it.
    """

    reply: ModelReplied
    events: tuple[ServerEvent, ...]

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> int:
        reply = self.reply
        withdraw_questions(batch, run)
        position = batch.take_positions(session, 1 + len(reply.calls))
        _add_message(batch, session, run, reply.message, position)
        for call in reply.calls:
            batch.writes.insert(
                ToolCall,
                run_id=run.id,
                step=reply.step,
                index=call.index,
                call_id=call.call_id,
                step_id=call.step_id,
                position=position + 1 + call.index,
                tool=call.name[:200],
                arguments=dict(call.arguments),
                idempotent=call.idempotent,
                status=ToolCall.Status.ASKED if call.waits else ToolCall.Status.STARTED,
                asked_at=batch.now,
            )
        batch.change_run(run, steps=reply.step)
        batch.charge(session, run, reply.usage)
        for event in self.events:
            batch.log.append(session, event)
        return position + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSummary(RunEntry):
    """A summary of the messages after the position `after`. Returns the position of the last one that it covers."""

    summarized: HistorySummarized
    after: int

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> int:
        batch.writes.flush()
        behind = Message.objects.filter(session_id=session.id, position__gt=self.after).order_by("position")
        upto = behind.values_list("position", flat=True)[self.summarized.count - 1] or 0
        # It is there already after a commit whose answer was lost: no event or claim of this entry tells the outcome.
        if not Summary.objects.filter(session_id=session.id, upto_position=upto).exists():
            batch.writes.insert(
                Summary,
                session_id=session.id,
                upto_position=upto,
                content=self.summarized.text,
                created_at=batch.now,
            )
        batch.charge(session, run, self.summarized.usage)
        return upto


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCall(RunEntry):
    """A confirmed call starts; committed before its tool runs."""

    step_id: str
    arguments: Mapping[str, Any]

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        batch.writes.change(ToolCall, self.step_id, status=ToolCall.Status.STARTED, arguments_run=dict(self.arguments))


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishCall(RunEntry):
    """The result of a call: for the log, for the history, and the session's state as the tool left it."""

    finished: ToolFinished
    position: int
    events: tuple[ServerEvent, ...]

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        finished = self.finished
        batch.writes.change(
            ToolCall,
            finished.call.step_id,
            status=ToolCall.Status.DONE,
            outcome=finished.status,
            result=finished.output,
            error=finished.error or "",
            duration_ms=finished.duration_ms,
            finished_at=batch.now,
        )
        _add_message(batch, session, run, finished.message, self.position)
        withdraw_questions(batch, run, tool_call=finished.call.step_id)
        if finished.state is not None:
            _keep_state(batch, session, run, finished.state)
        for event in self.events:
            batch.log.append(session, event)


def _keep_state(batch: Batch, session: LockedSession, run: LockedRun, state: dict[str, Any]) -> None:
    """Store the tools' state: of the session, and as the one that this run leaves, for forks."""
    batch.writes.flush()
    before = Run.objects.filter(pk=run.id).values_list("end_state", flat=True).first()
    batch.writes.change(Session, session.id, state=state)
    batch.writes.change(Run, run.id, end_state=state)
    session.grow(size_of_state(state) - size_of_state(before))
    batch.writes.change(Session, session.id, stored_bytes=session.stored_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskConfirmation(RunEntry):
    """A question to the user; the run waits. `starts_call` is true when the call starts only after a yes.

    What hooks ask may be about no call, whose id is empty then. A hook asks one after the other, so what was asked
    before a takeover and is not asked again is withdrawn.
    """

    step_id: str
    call_step_id: str
    starts_call: bool
    by_hook: bool = False
    question: str
    timeout: float
    events: tuple[ServerEvent, ...]

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        if self.starts_call:
            batch.writes.change(ToolCall, self.call_step_id, status=ToolCall.Status.CONFIRMING)
        tool_call = self.call_step_id or None
        if self.by_hook:
            withdraw_questions(batch, run, tool_call=tool_call)
        batch.writes.insert(
            Confirmation,
            run_id=run.id,
            tool_call_id=tool_call,
            step_id=self.step_id,
            by_hook=self.by_hook,
            question=self.question,
            asked_at=batch.now,
            expires_at=batch.now + timedelta(seconds=self.timeout),
        )
        batch.change_run(run, status=Run.Status.WAITING)
        for event in self.events:
            batch.log.append(session, event)


@dataclass(frozen=True, slots=True, kw_only=True)
class LapseConfirmation(RunEntry):
    """A question was not answered in time, which is a no. Returns the answer if there is one after all, else None."""

    step_id: str

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> dict[str, Any] | None:
        batch.writes.flush()
        confirmation = Confirmation.objects.get(step_id=self.step_id)
        if confirmation.answer is not None:
            answer: dict[str, Any] = confirmation.answer
            return answer
        settle(batch, run, confirmation, SILENCE, by="")
        return None


def withdraw_questions(batch: Batch, run: LockedRun, **about: Any) -> None:
    """Close the questions that are open and that nobody waits for any more: of the run, or those `about` a call."""
    if run.status != Run.Status.WAITING:
        return
    batch.writes.flush()
    for confirmation in Confirmation.objects.filter(run_id=run.id, answer__isnull=True, **about):
        settle(batch, run, confirmation, SILENCE, by="")
        batch.writes.flush()


def settle(batch: Batch, run: LockedRun, confirmation: Confirmation, answer: dict[str, Any], *, by: str) -> None:
    """Store the one answer of a confirmation; the run is resumed when it waits for no other."""
    batch.writes.change(Confirmation, confirmation.pk, answer=answer, answered_at=batch.now, answered_by=by)
    others = Confirmation.objects.filter(run_id=run.id, answer__isnull=True).exclude(pk=confirmation.pk)
    if not others.exists():
        batch.change_run(run, status=Run.Status.RUNNING)


@dataclass(frozen=True, slots=True)
class Ended:
    """The session after the end of a run: whether messages are queued, and the position of its last message."""

    has_more: bool
    history_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRun(RunEntry):
    """The run is over: its last events, its last message and its status, all or nothing."""

    needs_unfinished: ClassVar[bool] = True

    status: Run.Status
    events: tuple[ServerEvent, ...]
    message: LibraryMessage | None = None
    steps: int
    usage: Usage
    error_code: str = ""
    error_detail: str = ""
    may_have_open_calls: bool = False

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> Ended:
        *rest, terminal = self.events
        for event in rest:
            batch.log.append(session, event)
        if self.status is not Run.Status.SUCCEEDED or self.may_have_open_calls:
            close_run(batch, session, run, call_status="cancelled")
        withdraw_questions(batch, run)
        if self.message is not None:
            _add_message(batch, session, run, self.message, batch.take_positions(session))
        batch.change_run(
            run,
            status=self.status,
            owner="",
            lease_until=None,
            finished_at=batch.now,
            steps=self.steps,
            error_code=self.error_code,
            error_detail=self.error_detail,
            finish=terminal.metadata.finish if isinstance(terminal, FinalAnswer) else "",
            limit=_limit_of(terminal),
        )
        batch.charge(session, run, self.usage)
        batch.log.append(session, terminal)
        if self.status is Run.Status.SUCCEEDED and any(isinstance(event, PartialAnswer) for event in rest):
            batch.change_run(run, streamed_until=session.last_seq)
        batch.touch(session)
        return Ended(bool(batch.locks.unfinished(session.id)), session.last_position)


def _limit_of(terminal: ServerEvent) -> str:
    """The option of the limit at which a run ended, empty for none."""
    match terminal:
        case FinalAnswer() | RunFailed() if terminal.metadata.limit is not None:
            return str(terminal.metadata.limit.which)
    return ""


def _add_message(batch: Batch, session: LockedSession, run: LockedRun, message: LibraryMessage, position: int) -> None:
    batch.add_message(session, run_id=run.id, position=position, **Message.fields_of(message))
