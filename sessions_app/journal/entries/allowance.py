"""Whether a user may send one more message, decided under the lock on that user's row of `Pace`."""

from __future__ import annotations

from datetime import timedelta

from agents.budgets.allowances import Allowance, TooFast
from agents.models.budgets import Pace
from myagent.protocol.error_codes import ErrorCode
from sessions_app.journal.batch import Batch
from sessions_app.journal.locked_rows import LockedSession
from sessions_app.journal.refusal import Refused
from sessions_app.models import Run


def check_allowance(batch: Batch, allowance: Allowance, session: LockedSession, *, begins: bool) -> None:
    """Count one more message. Raises `Refused`, and then it does not count.

    `begins` says that the session has no unfinished run: a message that queues behind a run takes no further place.
    """
    if allowance.reached is not None:
        raise Refused(ErrorCode.BUDGET_EXCEEDED, level=allowance.reached)
    if begins and allowance.max_runs is not None and _busy_sessions(batch, allowance, session) >= allowance.max_runs:
        raise Refused(ErrorCode.TOO_MANY_RUNS, limit=allowance.max_runs)
    _keep_pace(batch, allowance)


def _busy_sessions(batch: Batch, allowance: Allowance, session: LockedSession) -> int:
    """The number of the user's other sessions that have unfinished runs, those of this batch included."""
    batch.writes.flush()
    unfinished = Run.objects.unfinished().filter(session__user=allowance.user_id).exclude(session=session.id)
    return unfinished.values("session").distinct().count()


def _keep_pace(batch: Batch, allowance: Allowance) -> None:
    due_at = batch.locks.paces.get(allowance.user_id or 0, batch.now - timedelta(minutes=1))
    try:
        next_due = allowance.next_due(due_at, batch.now)
    except TooFast as error:
        raise Refused(
            ErrorCode.TOO_MANY_MESSAGES, limit=allowance.messages_per_minute, retry_after=error.seconds
        ) from error
    if next_due is not None and allowance.user_id is not None:
        batch.locks.paces[allowance.user_id] = next_due
        Pace.objects.filter(pk=allowance.user_id).update(due_at=next_due)
