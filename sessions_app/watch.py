"""Looks, every few seconds, at whether what goes on in this process is still allowed."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from django.utils import timezone

from agents.access import Grant, recheck
from agents.allowances import Allowances, Level, end_of_day
from agents.database import in_thread
from myagent.i18n import gettext as _
from myagent.protocol.codec import timestamp
from myagent.protocol.direct_events import NoticeMetadata, SystemNotice
from sessions_app.pump import Pump


class Connection(Protocol):
    """An open connection, as the engine sees it."""

    grant: Grant
    pump: Pump
    told_until: datetime | None
    """Until when its client need not be told again that a budget is nearly used up."""

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

    def __init__(self, allowances: Allowances, connections: Collection[Connection]) -> None:
        self._allowances = allowances
        self._connections = connections

    async def look(self) -> None:
        """Close what is allowed no longer, and tell those who have nearly used up what they may use today."""
        await in_thread(self._allowances.refresh)
        revoked = await in_thread(recheck, {connection.grant for connection in self._connections})
        for connection in [connection for connection in self._connections if connection.grant in revoked]:
            await connection.revoke()
        await self._tell_of_budgets()

    async def _tell_of_budgets(self) -> None:
        now = timezone.now()
        untold = [it for it in self._connections if it.told_until is None or it.told_until <= now]
        named = {it.grant.user_id for it in untold} - {None}
        levels = await in_thread(self._allowances.nearly_used_up, named)
        for connection in untold:
            if (level := levels.get(connection.grant.user_id)) is not None:
                connection.told_until = end_of_day(now)
                connection.pump.direct(_notice(level, connection.told_until))


def _notice(level: Level, free_at: datetime) -> SystemNotice:
    words = (
        _("You have used %(percent)d %% of your %(limit)s model tokens of today.")
        if level.scope == "user"
        else _("Your group has used %(percent)d %% of its %(limit)s model tokens of today.")
    )
    metadata = NoticeMetadata(action="budget", percent=level.percent, scope=level.scope, free_at=timestamp(free_at))
    return SystemNotice(content=words % {"percent": level.percent, "limit": f"{level.limit:,}"}, metadata=metadata)
