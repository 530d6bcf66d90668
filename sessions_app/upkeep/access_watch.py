"""Every 2 s: closes connections and cancels runs that are no longer permitted, and warns of nearly used budgets."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Protocol

from django.utils import timezone

from agents.access.decision import Grant
from agents.access.revocation import Rechecked, recheck
from agents.budgets.allowances import Allowances
from agents.budgets.level import Level, Scope, end_of_day, notice_of
from agents.database.threads import in_thread
from agents.loading.registry import get_registry
from agents.models.budgets import Measure
from myagent.protocol.codec import timestamp
from myagent.protocol.direct_events import NoticeMetadata, SystemNotice
from sessions_app.delivery.pump import Pump
from sessions_app.journal.entries.sessions import CancelRuns
from sessions_app.journal.refusal import Refused
from sessions_app.journal.writer import Journal
from sessions_app.runs.runner import Runner, WorkingRun

logger = logging.getLogger("myagent.access")

ACCESS_REVOKED = "access_revoked"
"""The `reason` of a run that was cancelled because its user may no longer use its agent, or any."""

Budget = tuple[Measure, Scope, int | None]
"""Which budget: of tokens or of costs, the user's own, or that of a group, with its id."""


class Connection(Protocol):
    """What the engine needs of an open connection."""

    door: str
    """By which door it came, as a label of metrics."""
    grant: Grant
    pump: Pump
    notified_until: Mapping[Budget, datetime]
    """Until when its client need not be notified again that a budget is nearly used up, by budget."""

    @property
    def agents_in_use(self) -> set[str]:
        """The agents of its path and of the sessions that it follows."""
        ...

    def regrant(self, grant: Grant) -> None:
        """Replace its permissions."""
        ...

    def heartbeat_is_due(self, now: float) -> bool:
        """Whether its next heartbeat is due; `now` is the loop's time."""
        ...

    def heartbeat(self, last_seqs: dict[uuid.UUID, int]) -> None:
        """Send a heartbeat."""
        ...

    async def revoke(self) -> None:
        """Close it: its credentials are no longer valid."""
        ...


class AccessWatch:
    """Lives on the event loop. `connections` is kept up to date by the engine."""

    def __init__(
        self, *, allowances: Allowances, runner: Runner, journal: Journal, connections: Collection[Connection]
    ) -> None:
        self._allowances = allowances
        self._runner = runner
        self._journal = journal
        self._connections = connections
        self._logged_until: dict[str, datetime] = {}

    async def check_permissions(self) -> None:
        """Close and cancel what is no longer permitted, and notify of budgets that are nearly used up."""
        # As they are now: those that open while the database answers were not checked.
        connections, working = list(self._connections), self._runner.working
        grants = {connection.grant for connection in connections}
        rechecked = await in_thread(recheck, grants, [run.user_id for run in working])
        await _close_revoked(connections, rechecked)
        for run in working:
            if not rechecked.may_use(run.user_id, run.agent):
                await self._cancel(run)
        await in_thread(self._allowances.refresh)
        await self._notify_of_budgets()
        await self._log_budgets()

    async def _cancel(self, run: WorkingRun) -> None:
        try:
            ended = await self._journal.record(CancelRuns(session_id=run.session_id, reason=ACCESS_REVOKED))
        except Refused:
            return  # the session was deleted meanwhile
        logger.warning("Cancelled run %s: its user may no longer use %s.", run.run_id, run.agent)
        self._runner.stop_runs(ended)

    async def _notify_of_budgets(self) -> None:
        free_at = end_of_day(timezone.now())
        connections = list(self._connections)
        named = {connection.grant.user_id for connection in connections} - {None}
        levels = await in_thread(self._allowances.nearly_used_up, named)
        for connection in connections:
            for level in levels.get(connection.grant.user_id, ()):
                budget = level.measure, level.scope, level.group_id
                if connection.notified_until.get(budget) != free_at:
                    connection.notified_until = {**connection.notified_until, budget: free_at}
                    connection.pump.say(partial(_notice, level, free_at))

    async def _log_budgets(self) -> None:
        """Log, once a day, each agent whose budget for all users together is nearly used up."""
        now = timezone.now()
        names = [name for name in get_registry().names if self._logged_until.get(name, now) <= now]
        for name, level in (await in_thread(self._allowances.agents_nearly_used_up, names)).items():
            self._logged_until[name] = end_of_day(now)
            logger.warning("The agent %s has used %d %% of its %d tokens of today.", name, level.percent, level.limit)


async def _close_revoked(connections: Collection[Connection], rechecked: Rechecked) -> None:
    revoked = []
    for connection in connections:
        grant = rechecked.of(connection.grant)
        # By the agents in use and not by the old grant: a request that was being handled may have attached it to a
        # session of an agent that was denied meanwhile.
        if grant is None or not all(map(grant.allows, connection.agents_in_use)):
            revoked.append(connection)
        elif grant != connection.grant:
            connection.regrant(grant)
    # Concurrently, so that closing a slow one does not leave the others open.
    await asyncio.gather(*(connection.revoke() for connection in revoked))


def _notice(level: Level, free_at: datetime) -> SystemNotice:
    metadata = NoticeMetadata(action="budget", percent=level.percent, scope=level.scope, free_at=timestamp(free_at))
    return SystemNotice(content=notice_of(level), metadata=metadata)
