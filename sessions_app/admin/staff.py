"""What staff does to conversations, from pages that run in threads of their own. Plain and synchronous."""

from __future__ import annotations

from collections.abc import Iterable

from sessions_app.journal.batch import Refused
from sessions_app.journal.entries.sessions import CancelRuns
from sessions_app.journal.run_log import log_end
from sessions_app.journal.writer import commit
from sessions_app.models import Run

BY_STAFF = "staff"
"""The `reason` with which such a run ends."""


def cancel_runs(runs: Iterable[Run], *, by: int) -> int:
    """End these runs, whoever works on them, in the name of the user `by`; returns how many had not ended yet.

    Their owners find out by themselves within a second, as of what other processes do.
    """
    entries = [CancelRuns(session_id=run.session_id, only=run.pk, by=by, reason=BY_STAFF) for run in runs]
    committed = commit(entries)
    for end in committed.ended:
        log_end(end, model="")
    return sum(len(outcome) for outcome in committed.outcomes if not isinstance(outcome, Refused))
