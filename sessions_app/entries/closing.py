"""Leaving a run that ends before its answer in a shape from which the conversation goes on."""

from __future__ import annotations

import uuid
from typing import Any, Literal

import orjson

from myagent.i18n import gettext as _
from myagent.protocol.server_base import ServerEvent
from myagent.protocol.server_events import Interrupted, InterruptedMetadata, ToolResultMetadata, ToolReturned
from sessions_app.batch import Batch, LockedRun, LockedSession
from sessions_app.models import Confirmation, Event, Message, Run, ToolCall

# What the model is told of a call that has no result; the language is the model's, not the user's.
_TOLD: dict[str, str] = {
    "cancelled": "This call was cancelled before it had a result.",
    "unknown": "The server stopped while this call was running; whether it took effect is unknown.",
}
_BROKEN_OFF = "[broken off]"


def close_run(
    batch: Batch, session: LockedSession, run: LockedRun, *, call_status: Literal["cancelled", "unknown"]
) -> None:
    """Give every open call a result, settle open confirmations and keep the text that was shown of this step.

    A call that was never started is `cancelled` whatever `call_status` says: it had no effect.
    """
    if run.status == Run.Status.QUEUED:
        # The user did say it, although nobody answered.
        place_messages(batch, session, run.id)
        return
    batch.flush()
    _close_calls(batch, session, run, call_status)
    for confirmation in Confirmation.objects.filter(run_id=run.id, answer__isnull=True):
        answer = {"confirmed": False, "answered": False}
        batch.change(Confirmation, confirmation.pk, answer=answer, answered_at=batch.now)
    if text := _shown_text(run):
        batch.insert(
            Message,
            session_id=run.session_id,
            run_id=run.id,
            position=batch.take_positions(session),
            role=Message.Role.ASSISTANT,
            content=f"{text}\n{_BROKEN_OFF}",
            created_at=batch.now,
        )


def _close_calls(
    batch: Batch, session: LockedSession, run: LockedRun, call_status: Literal["cancelled", "unknown"]
) -> None:
    for call in ToolCall.objects.filter(run_id=run.id).exclude(status=ToolCall.Status.DONE).order_by("position"):
        status = call_status if call.status == ToolCall.Status.STARTED else "cancelled"
        told = _TOLD[status]
        metadata = ToolResultMetadata(
            run_id=str(run.id), tool=call.tool, status=status, error=told, duration_ms=_age_ms(batch, call)
        )
        batch.log(session, ToolReturned(step_id=call.step_id, content=told, metadata=metadata))
        batch.change(
            ToolCall,
            call.pk,
            status=ToolCall.Status.DONE,
            outcome=status,
            result=told,
            duration_ms=metadata.duration_ms,
            finished_at=batch.now,
        )
        batch.insert(
            Message,
            session_id=run.session_id,
            run_id=run.id,
            position=call.position,
            role=Message.Role.TOOL,
            content=told,
            tool_call_id=call.call_id,
            created_at=batch.now,
        )


def _age_ms(batch: Batch, call: ToolCall) -> int:
    return max(0, round((batch.now - call.asked_at).total_seconds() * 1000))


def _shown_text(run: LockedRun) -> str:
    """What clients saw of a step whose reply never became part of the history."""
    shown = Event.objects.filter(session_id=run.session_id, name="agent.partial_answer").order_by("-seq")
    newest = shown.first()
    if newest is None:
        return ""
    metadata = orjson.loads(newest.frame)["metadata"]
    if metadata["is_final"] or metadata["run_id"] != str(run.id):
        return ""
    resets = Event.objects.filter(session_id=run.session_id, name="agent.step_reset", seq__gt=newest.seq)
    if resets.exists():
        return ""
    pieces = shown.filter(step_id=newest.step_id).order_by("seq").values_list("frame", flat=True)
    return "".join(orjson.loads(frame)["content"] for frame in pieces)


def place_messages(batch: Batch, session: LockedSession, run_id: uuid.UUID) -> None:
    """Give the messages of a run that begins (or ends unbegun) their places in the history."""
    batch.flush()
    for pk in Message.objects.filter(run_id=run_id, position=None).order_by("pk").values_list("pk", flat=True):
        batch.change(Message, pk, position=batch.take_positions(session))


def cancel_run(batch: Batch, session: LockedSession, run: LockedRun, reason: str) -> None:
    """End a run by a user's wish, whoever owns it."""
    close_run(batch, session, run, call_status="cancelled")
    metadata = InterruptedMetadata(run_id=str(run.id), reason=reason)
    interrupted = Interrupted(content=_("The run was cancelled."), metadata=metadata)
    end_over_its_owner(batch, session, run, interrupted, status=Run.Status.CANCELLED)


def end_over_its_owner(
    batch: Batch, session: LockedSession, run: LockedRun, terminal: ServerEvent, **columns: Any
) -> None:
    """End a closed run without asking who works on it: the raised epoch makes that a stale owner."""
    batch.change_run(run, epoch=run.epoch + 1, owner="", lease_until=None, finished_at=batch.now, **columns)
    batch.touch(session)
    batch.log(session, terminal)
