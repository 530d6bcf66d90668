"""Taking over a run whose owner is dead, so that it is resumed from what is stored."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models.functions import Now

from myagent.i18n import gettext as _
from myagent.loop.checkpoint import AskedCall, Checkpoint, OpenCall
from myagent.protocol.server_events import RunErrorMetadata, RunFailed, StepResetMetadata, StepVoided
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.ending import (
    close_call,
    close_run,
    close_spans,
    end_over_its_owner,
    unfinished_step,
    withdraw,
)
from sessions_app.journal.entries.ownership import Lease, take_run
from sessions_app.journal.entry import Entry, RunRef
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.journal.refusal import STALE_RUN, Refused
from sessions_app.journal.usage_ledger import usage_of
from sessions_app.models import Confirmation, Message, Run, ToolCall

MAX_ATTEMPTS = 3
"""Processes that may stop while they own one run."""
POISONED = "poisoned"


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A confirmation that was asked before the takeover; `answer` is set if it was answered."""

    step_id: str
    seconds_left: float
    answer: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A run that was taken over. `questions` are by the `step_id` of their call, those of hooks by their own.

    `first_result` is the position in the history of the first call's result, `age` the seconds since the run began,
    `tool_calls` how many it made.
    """

    ref: RunRef
    checkpoint: Checkpoint
    first_result: int = 0
    questions: dict[str, OpenQuestion] = field(default_factory=dict)
    age: float = 0.0
    tool_calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverRun(Entry):
    """Take over a run whose owner is dead; returns it, or None when it was given up after too many attempts.

    Refused with `stale_run` when it has a living owner after all: `dead_owners` are known to be dead, others count as
    dead when their lease has expired. `idempotent` names the tools that may run again; None for an agent whose tools
    are chosen by each run: then what they were when they were called counts.
    """

    dead_run_id: uuid.UUID
    epoch: int
    lease: Lease
    idempotent: frozenset[str] | None
    dead_owners: Collection[str] = ()

    @property
    def run_id(self) -> uuid.UUID | None:
        return self.dead_run_id

    def apply(self, batch: Batch) -> Recovered | None:
        session = batch.locks.session(self.session_id)
        run = batch.locks.owned_run(self.dead_run_id, self.epoch)
        if run.owner not in self.dead_owners and Run.objects.filter(pk=run.id, lease_until__gt=Now()).exists():
            raise Refused(STALE_RUN)
        batch.writes.flush()
        row = Run.objects.get(pk=run.id)
        attempts = run.attempts + _may_have_stopped_its_process(row)
        if attempts > MAX_ATTEMPTS:
            _give_up(batch, session, run)
            return None
        if step := unfinished_step(run, row.steps):
            metadata = StepResetMetadata(run_id=str(run.id), step=step, reason="restart")
            batch.log.append(session, StepVoided(metadata=metadata))
        close_spans(batch, run, interrupted_at=None)
        calls = self._open_calls(batch, session, run)
        asked_people = list(Confirmation.objects.filter(run_id=run.id).order_by("asked_at"))
        questions = _open_questions(batch, asked_people, calls)
        take_run(batch, run, self.lease, begins=False, attempts=attempts)
        if any(question.answer is None for question in questions.values()):
            batch.change_run(run, status=Run.Status.WAITING)
        age = (batch.now - (row.started_at or batch.now)).total_seconds()
        made = ToolCall.objects.filter(run_id=run.id).order_by("step", "index")
        asked = tuple(AskedCall(*call) for call in made.values_list("step", "tool", "arguments"))
        open_calls = {call.index: _open_call(call) for call in calls}
        return Recovered(
            ref=RunRef(session.id, run.id, run.epoch, session.user_id),
            checkpoint=Checkpoint(
                step=row.steps,
                usage=usage_of(row),
                open_calls=open_calls,
                said=Message.objects.filter(run_id=run.id, role=Message.Role.USER).count(),
                calls=asked,
                seconds=max(0.0, age - _waited(asked_people, batch.now)),
            ),
            first_result=calls[0].position - calls[0].index if calls else 0,
            questions=questions,
            age=age,
            tool_calls=len(asked),
        )

    def _open_calls(self, batch: Batch, session: LockedSession, run: LockedRun) -> list[ToolCall]:
        """The calls that must run; one that may have taken effect already is closed as `unknown` instead."""
        calls = []
        for call in ToolCall.objects.filter(run_id=run.id).exclude(status=ToolCall.Status.DONE).order_by("index"):
            may_repeat = call.idempotent if self.idempotent is None else call.tool in self.idempotent
            if call.status == ToolCall.Status.STARTED and not may_repeat:
                close_call(batch, session, run, call, "unknown")
            else:
                calls.append(call)
        return calls


def _may_have_stopped_its_process(run: Run) -> bool:
    """Not if its owner released it, nor if it did nothing but wait for the answer to a question."""
    if not run.owner:
        return False
    is_idle = run.status == Run.Status.WAITING
    return not is_idle or ToolCall.objects.filter(run_id=run.id, status=ToolCall.Status.STARTED).exists()


def _open_call(call: ToolCall) -> OpenCall:
    begun = call.status == ToolCall.Status.STARTED
    return OpenCall(
        begun=begun, asked=call.status == ToolCall.Status.CONFIRMING, agreed=call.arguments_run if begun else None
    )


def _open_questions(
    batch: Batch, asked_people: Collection[Confirmation], calls: Collection[ToolCall]
) -> dict[str, OpenQuestion]:
    """The questions that calls wait for before they start, and those of hooks, which will be called again; those of a
    tool that was running are withdrawn.
    """
    waiting = {call.step_id for call in calls if call.status == ToolCall.Status.CONFIRMING}
    hooked = {None, *(call.step_id for call in calls)}
    questions = {}
    for asked in asked_people:
        key = None
        if asked.by_hook:
            key = asked.step_id if asked.tool_call_id in hooked else None
        elif asked.tool_call_id in waiting:
            key = asked.tool_call_id
        if key is not None:
            seconds_left = (asked.expires_at - batch.now).total_seconds()
            questions[key] = OpenQuestion(asked.step_id, max(0.0, seconds_left), asked.answer)
        elif asked.answer is None:
            withdraw(batch, asked)
    return questions


def _waited(asked_people: Collection[Confirmation], now: datetime) -> float:
    """The seconds in which at least one question was open; they come in the order in which they were asked."""
    waited, until = 0.0, None
    for asked in asked_people:
        begin = asked.asked_at if until is None else max(until, asked.asked_at)
        until = max(begin, asked.answered_at or now)
        waited += (until - begin).total_seconds()
    return waited


def _give_up(batch: Batch, session: LockedSession, run: LockedRun) -> None:
    close_run(batch, session, run, call_status="unknown")
    content = _("The server stopped %(count)d times while it worked on this answer, so it was given up.")
    metadata = RunErrorMetadata(run_id=str(run.id), code=POISONED)
    error = RunFailed(content=content % {"count": run.attempts}, metadata=metadata)
    end_over_its_owner(batch, session, run, error, status=Run.Status.FAILED, reason=POISONED, error_code=POISONED)
