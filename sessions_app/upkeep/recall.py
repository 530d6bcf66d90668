"""Every 2 s: cancels what was begun or queued by somebody whom that has been taken away from since.

Also what no process works on: messages that wait, and runs whose process died.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence

from django.db.models import Exists, OuterRef, Q

from agents.access.revocation import recheck
from agents.database.threads import in_thread
from agents.models import AccessToken
from sessions_app.journal.entries.sessions import CancelRuns
from sessions_app.journal.refusal import Refused
from sessions_app.journal.writer import Journal
from sessions_app.models import Run
from sessions_app.runs.runner import Runner
from sessions_app.upkeep.access_watch import ACCESS_REVOKED

logger = logging.getLogger("myagent.access")


class Recall:
    """Lives on the event loop. Every process does all of it; what another one has cancelled is not found again."""

    def __init__(self, *, runner: Runner, journal: Journal) -> None:
        self._runner = runner
        self._journal = journal

    async def cancel_what_is_not_permitted(self) -> None:
        """Cancel it."""
        for session_id, run_id in await in_thread(not_permitted):
            try:
                entry = CancelRuns(session_id=session_id, only=run_id, reason=ACCESS_REVOKED)
                ended = await self._journal.record(entry)
            except Refused:
                continue  # the session was deleted meanwhile
            if ended:
                logger.warning("Cancelled run %s: what it was begun with is no longer valid.", run_id)
            self._runner.stop_runs(ended)


def not_permitted() -> Sequence[tuple[uuid.UUID, uuid.UUID]]:
    """Session and run of what is unfinished and was begun with a token that was taken away together with it, or by a
    user who is not active, or waits for an agent that its user may not use any more. Blocking.
    """
    unfinished = Run.objects.unfinished()
    good = AccessToken.objects.filter(pk=OuterRef("token_id"), stops_runs=False)
    # A token that was deleted is not there any more. Those of the banner stay until long after they expired.
    recalled = unfinished.filter(Q(session__user__is_active=False) | Q(token_id__isnull=False) & ~Exists(good))
    found = list(recalled.values_list("session_id", "id"))
    waiting = unfinished.filter(status=Run.Status.QUEUED).values_list(
        "session_id", "id", "session__user", "session__agent"
    )
    if not (rows := list(waiting)):
        return found
    rechecked = recheck((), {user_id for _, _, user_id, _ in rows})
    denied = [(session, run) for session, run, user_id, agent in rows if not rechecked.may_use(user_id, agent)]
    return list(dict.fromkeys([*found, *denied]))
