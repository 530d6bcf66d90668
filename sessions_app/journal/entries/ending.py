"""Ending a run before its answer, so that the conversation can be continued: every call has a result."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson
from django.db.models import Count

from myagent.i18n import gettext as _
from myagent.i18n import gettext_noop
from myagent.protocol.server_base import ServerEvent
from myagent.protocol.server_events import Interrupted, InterruptedMetadata, ToolResultMetadata, ToolReturned
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.partial_cost import charge_broken_off
from sessions_app.journal.file_links import unlink_files
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.journal.placing import place_messages
from sessions_app.journal.run_log import RunEnd
from sessions_app.journal.usage_ledger import usage_of
from sessions_app.models import Confirmation, DeletedThread, Event, Message, Run, Session, Span, Summary, ToolCall
from sessions_app.models.deleted_thread import thread_of

# For the model and for people: the result of a call that has none.
_NO_RESULT: dict[str, str] = {
    "cancelled": gettext_noop("This call was cancelled before it had a result."),
    "unknown": gettext_noop("The server stopped while this call was running; whether it took effect is unknown."),
}
_BROKEN_OFF = "[broken off]"
_EVENTS_AT_A_TIME = 20
"""Read from the newest: nearly always the first one is what is looked for, and a session may have thousands."""

SILENCE = {"confirmed": False, "answered": False}
"""The answer to a question that nobody answered: a no."""


def close_run(
    batch: Batch, session: LockedSession, run: LockedRun, *, call_status: Literal["cancelled", "unknown"]
) -> None:
    """Give every open call a result, settle open confirmations and keep the text that was shown of this step.

    A call that was never started is `cancelled` whatever `call_status` says: it had no effect.
    """
    if run.status == Run.Status.QUEUED:
        # The user did say it, although it was never answered.
        place_messages(batch, session, run)
        return
    batch.writes.flush()
    _close_calls(batch, session, run, call_status)
    close_spans(batch, run, interrupted_at=batch.now if call_status == "cancelled" else None)
    for confirmation in Confirmation.objects.filter(run_id=run.id, answer__isnull=True):
        withdraw(batch, confirmation)
    if text := _shown_text(run):
        batch.add_message(
            session,
            run_id=run.id,
            position=batch.take_positions(session),
            role=Message.Role.ASSISTANT,
            content=f"{text}\n{_BROKEN_OFF}",
        )


def _close_calls(
    batch: Batch, session: LockedSession, run: LockedRun, call_status: Literal["cancelled", "unknown"]
) -> None:
    for call in ToolCall.objects.filter(run_id=run.id).exclude(status=ToolCall.Status.DONE).order_by("position"):
        close_call(batch, session, run, call, call_status if call.status == ToolCall.Status.STARTED else "cancelled")


def close_call(
    batch: Batch, session: LockedSession, run: LockedRun, call: ToolCall, status: Literal["cancelled", "unknown"]
) -> None:
    """Give a call that will never have a result one that says so."""
    text = _(_NO_RESULT[status])
    metadata = ToolResultMetadata(
        run_id=str(run.id), tool=call.tool, status=status, error=text, duration_ms=_age_ms(batch, call)
    )
    batch.log.append(session, ToolReturned(step_id=call.step_id, content=text, metadata=metadata))
    batch.writes.change(
        ToolCall,
        call.pk,
        status=ToolCall.Status.DONE,
        outcome=status,
        result=text,
        duration_ms=metadata.duration_ms,
        finished_at=batch.now,
    )
    batch.add_message(
        session,
        run_id=run.id,
        position=call.position,
        role=Message.Role.TOOL,
        content=text,
        tool_call_id=call.call_id,
    )


def close_spans(batch: Batch, run: LockedRun, *, interrupted_at: datetime | None) -> None:
    """Mark the open spans of a run as interrupted, at a time that may be unknown; an untraced agent has no spans."""
    for span in Span.objects.filter(run_id=run.id, outcome=Span.Outcome.OPEN):
        lasted = None if interrupted_at is None else _milliseconds(interrupted_at - span.started_at)
        batch.writes.change(Span, span.pk, outcome=Span.Outcome.INTERRUPTED, duration_ms=lasted)


def withdraw(batch: Batch, confirmation: Confirmation) -> None:
    """No tool waits for this question any more: it counts as not answered."""
    batch.writes.change(Confirmation, confirmation.pk, answer=SILENCE, answered_at=batch.now)


def _age_ms(batch: Batch, call: ToolCall) -> int:
    return _milliseconds(batch.now - call.asked_at)


def _milliseconds(lasted: timedelta) -> int:
    return max(0, round(lasted.total_seconds() * 1000))


def _shown_text(run: LockedRun) -> str:
    """The text that clients were sent of a step whose reply never became part of the history."""
    newest = _newest_shown(run, but_reasoning=True)
    if newest is None or newest.name != "agent.partial_answer" or _metadata(newest)["is_final"]:
        return ""
    pieces = Event.objects.filter(session_id=run.session_id, name=newest.name, step_id=newest.step_id).order_by("seq")
    return "".join(orjson.loads(frame)["content"] for frame in pieces.values_list("frame", flat=True))


def unfinished_step(run: LockedRun, steps: int) -> int:
    """The step after the stored `steps`, if clients were sent any of its text or reasoning; else 0."""
    newest = _newest_shown(run)
    if newest is None or newest.name == "agent.step_reset":
        return 0
    metadata = _metadata(newest)
    is_shown = newest.name == "agent.partial_answer" or metadata.get("reasoning", False)
    return int(metadata["step"]) if is_shown and metadata["step"] > steps else 0


def _newest_shown(run: LockedRun, *, but_reasoning: bool = False) -> Event | None:
    """The run's last event that showed text of a step, began one, or made one void."""
    names = ("agent.partial_answer", "agent.thinking", "agent.step_reset")
    newest_first = Event.objects.filter(session_id=run.session_id, name__in=names).order_by("-seq")
    for event in newest_first.iterator(chunk_size=_EVENTS_AT_A_TIME):
        metadata = _metadata(event)
        if metadata["run_id"] != str(run.id):
            break
        if not (but_reasoning and metadata.get("reasoning")):
            return event
    return None


def _metadata(event: Event) -> dict[str, Any]:
    metadata: dict[str, Any] = orjson.loads(event.frame)["metadata"]
    return metadata


def cancel_run(batch: Batch, session: LockedSession, run: LockedRun, reason: str) -> None:
    """End a run at a user's request, whichever process owns it."""
    charge_broken_off(batch, session, run)
    close_run(batch, session, run, call_status="cancelled")
    metadata = InterruptedMetadata(run_id=str(run.id), reason=reason)
    interrupted = Interrupted(content=_("The run was cancelled."), metadata=metadata)
    end_over_its_owner(batch, session, run, interrupted, status=Run.Status.CANCELLED, reason=reason)


def end_over_its_owner(
    batch: Batch,
    session: LockedSession,
    run: LockedRun,
    terminal: ServerEvent,
    *,
    status: Run.Status,
    reason: str,
    **columns: Any,
) -> None:
    """End a closed run without its owner, which the raised epoch makes a stale one."""
    outcome = "cancelled" if status is Run.Status.CANCELLED else "error"
    batch.ended.append(end_of(batch, session, run, outcome, reason))
    over = {"status": status, "epoch": run.epoch + 1, "owner": "", "lease_until": None, "finished_at": batch.now}
    batch.change_run(run, **over, **columns)
    batch.touch(session)
    batch.log.append(session, terminal)


def end_of(batch: Batch, session: LockedSession, run: LockedRun, outcome: str, reason: str = "") -> RunEnd:
    """The end of a run from its rows, for the log line; without what is not stored of an unfinished step."""
    batch.writes.flush()
    row = Run.objects.select_related("session__user").annotate(calls=Count("tool_calls")).filter(pk=run.id).get()
    return RunEnd(
        session_id=session.id,
        run_id=run.id,
        agent=session.agent,
        user=row.session.user.get_username() if row.session.user else None,
        outcome=outcome,
        reason=reason,
        steps=row.steps,
        tool_calls=row.calls,
        usage=usage_of(row),
        seconds=(batch.now - row.started_at).total_seconds() if row.started_at else 0.0,
    )


def remember_deleted(session: LockedSession, now: datetime) -> None:
    """Keep the names of a session that is about to be deleted, so that no client continues it without its history.

    One in which nothing was said has none, and may begin anew.
    """
    if session.last_seq <= 1:
        return
    named = Session.objects.filter(pk=session.id).values_list("thread", flat=True).get()
    threads = {thread_of(session.user_id, session.agent, str(session.id))} | ({named} if named else set())
    rows = [DeletedThread(thread=thread, user_id=session.user_id, deleted_at=now) for thread in sorted(threads)]
    DeletedThread.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["thread"], update_fields=["deleted_at"]
    )


def delete_rows(session_id: uuid.UUID, now: datetime) -> None:
    """Delete a session and all that is stored of it; the bytes of its files follow, unless another session has them."""
    unlink_files(session_id, now)
    of_run = Run.objects.filter(session_id=session_id)
    # Table by table, in the order of foreign keys: Django's own cascade would load every event first.
    for rows in (
        Confirmation.objects.filter(run__in=of_run),
        ToolCall.objects.filter(run__in=of_run),
        Span.objects.filter(run__in=of_run),
        Message.objects.filter(session_id=session_id),
        Summary.objects.filter(session_id=session_id),
        Event.objects.filter(session_id=session_id),
        of_run,
        Session.objects.filter(pk=session_id),
    ):
        rows._raw_delete(rows.db)
