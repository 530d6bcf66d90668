"""The tools' state at the point where a fork leaves its session."""

from __future__ import annotations

import uuid
from typing import Any

from sessions_app.journal.fork_point import ForkPoint
from sessions_app.models import Run, Session


def kept_state(session_id: uuid.UUID, point: ForkPoint) -> dict[str, Any] | None:
    """The tools' state as the last of the runs that are taken whole left it; None where that was not kept.

    Only keys of runs are read, and one state: a session may have many, and large ones.
    """
    runs = Run.objects.filter(session_id=session_id)
    everyone = set(runs.values_list("pk", flat=True))
    unknown = set(runs.filter(end_state__isnull=True).values_list("pk", flat=True))
    changed = everyone - unknown - set(runs.filter(end_state=False).values_list("pk", flat=True))
    of_cut = {point.cut.run_id} if point.cut is not None else set()
    # A restored history has no events, and comes before all that has.
    taken = {run_id: point.ended.get(run_id, 0) for run_id in everyone - point.left_out - of_cut}
    last_change = max((run_id for run_id in taken if run_id in changed), key=taken.__getitem__, default=None)
    last_unknown = max((taken[run_id] for run_id in taken if run_id in unknown), default=-1)
    if last_change is not None and taken[last_change] > last_unknown:
        return _dict(runs.values_list("end_state", flat=True).get(pk=last_change))
    if last_unknown < 0:
        return {}
    now = _dict(Session.objects.values_list("state", flat=True).get(pk=session_id))
    if not (everyone - taken.keys()) & (changed | unknown):
        return now  # nothing has changed it since
    return {} if not changed and not now else None


def _dict(state: Any) -> dict[str, Any]:
    return dict(state or {})
