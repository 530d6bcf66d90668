"""Looks, every few seconds, at whether what goes on in this process is still allowed."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from django.utils import timezone

from agents.access.decision import Grant
from agents.access.revocation import Rechecked, recheck
from agents.budgets.allowances import Allowances, Level, Scope, end_of_day
from agents.database.threads import in_thread
from agents.loading.registry import get_registry
from myagent.i18n import gettext as _
from myagent.protocol.codec import timestamp
from myagent.protocol.direct_events import NoticeMetadata, SystemNotice
from sessions_app.delivery.pump import Pump
from sessions_app.journal.batch import Refused
from sessions_app.journal.entries.sessions import CancelRuns
from sessions_app.journal.writer import Journal
from sessions_app.runs.runner import Runner, WorkingRun

logger = logging.getLogger("myagent.access")

ACCESS_REVOKED = "access_revoked"
"""The `reason` of a run that was ended because its user may not use the agent any more, or nothing at all."""


Budget = tuple[Scope, int | None]
"""Whose budget it is: the user's own, or that of which group."""


class Connection(Protocol):
    """An open connection, as the engine sees it."""

    grant: Grant
    pump: Pump
    told_until: Mapping[Budget, datetime]
    """Until when its client need not be told again that a budget is nearly used up, by whose budget it is."""

    @property
    def agents_in_use(self) -> set[str]:
        """The agents of its path and of the sessions that it follows."""
        ...

    def regrant(self, grant: Grant) -> None:
        """Go on with what it may do from now on."""
        ...

    def heartbeat_is_due(self, now: float) -> bool:
        """Whether it is time for a heartbeat; `now` by the loop's clock."""
        ...

    def heartbeat(self, last_seqs: dict[uuid.UUID, int]) -> None:
        """Send one."""
        ...

    async def revoke(self) -> None:
        """Close it: what let it in holds no longer."""
        ...


class Watch:
    """Lives on the event loop. `connections` are those that are open at any moment."""

    def __init__(
        self, *, allowances: Allowances, runner: Runner, journal: Journal, connections: Collection[Connection]
    ) -> None:
        self._allowances = allowances
        self._runner = runner
        self._journal = journal
        self._connections = connections
        self._logged_until: dict[str, datetime] = {}

    async def look(self) -> None:
        """End what is allowed no longer, and tell those who have nearly used up what they may use today."""
        # As they are now: nothing is known of those that come while the database answers.
        connections, working = list(self._connections), self._runner.working
        grants = {connection.grant for connection in connections}
        rechecked = await in_thread(recheck, grants, [run.user_id for run in working])
        await _close_revoked(connections, rechecked)
        for run in working:
            if not rechecked.may_use(run.user_id, run.agent):
                await self._cancel(run)
        await in_thread(self._allowances.refresh)
        await self._tell_of_budgets()
        await self._log_budgets()

    async def _cancel(self, run: WorkingRun) -> None:
        try:
            ended = await self._journal.record(CancelRuns(session_id=run.session_id, reason=ACCESS_REVOKED))
        except Refused:
            return  # the session was deleted meanwhile
        logger.warning("Cancelled run %s: its user may not use %s any more.", run.run_id, run.agent)
        self._runner.stop_runs(ended)

    async def _tell_of_budgets(self) -> None:
        free_at = end_of_day(timezone.now())
        connections = list(self._connections)
        named = {connection.grant.user_id for connection in connections} - {None}
        levels = await in_thread(self._allowances.nearly_used_up, named)
        for connection in connections:
            for level in levels.get(connection.grant.user_id, ()):
                budget = level.scope, level.group_id
                if connection.told_until.get(budget) != free_at:
                    connection.told_until = {**connection.told_until, budget: free_at}
                    connection.pump.direct(_notice(level, free_at))

    async def _log_budgets(self) -> None:
        """Tell the operator, once a day, of each agent that has nearly used up what all together may use of it."""
        now = timezone.now()
        names = [name for name in get_registry().names if self._logged_until.get(name, now) <= now]
        for name, level in (await in_thread(self._allowances.agents_nearly_used_up, names)).items():
            self._logged_until[name] = end_of_day(now)
            logger.warning("The agent %s has used %d %% of its %d tokens of today.", name, level.percent, level.limit)


async def _close_revoked(connections: Collection[Connection], rechecked: Rechecked) -> None:
    revoked = []
    for connection in connections:
        grant = rechecked.of(connection.grant)
        # Whatever it was allowed before: a request that was under way may have attached it to a session of an agent
        # that was denied meanwhile.
        if grant is None or not all(map(grant.allows, connection.agents_in_use)):
            revoked.append(connection)
        elif grant != connection.grant:
            connection.regrant(grant)
    # Side by side: while one is closed, no other goes on.
    await asyncio.gather(*(connection.revoke() for connection in revoked))


def _notice(level: Level, free_at: datetime) -> SystemNotice:
    words = (
        _("You have used %(percent)d %% of your %(limit)s model tokens of today.")
        if level.scope == "user"
        else _("Your group has used %(percent)d %% of its %(limit)s model tokens of today.")
    )
    metadata = NoticeMetadata(action="budget", percent=level.percent, scope=level.scope, free_at=timestamp(free_at))
    return SystemNotice(content=words % {"percent": level.percent, "limit": f"{level.limit:,}"}, metadata=metadata)
