"""Who gets the places of this process: runs that others have queued before those of new messages."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from agents.conf import Config
from agents.database.threads import in_thread
from agents.loading.registry import get_registry
from sessions_app import queries
from sessions_app.journal.entries.ownership import Lease
from sessions_app.runs.places import Places


class PlaceLeases:
    """Gives the right to start runs here. Lives on the event loop.

    `working` has the sessions of this process's runs with their agents, without the runs that wait for a person.
    """

    def __init__(self, config: Config, owner: str, working: Callable[[], Mapping[uuid.UUID, str]]) -> None:
        self._owner = owner
        self._lease_seconds = config.lease_seconds
        self._working = working
        self._promised: dict[uuid.UUID, str] = {}
        self.rules = Places(config.max_runs, config.max_runs_per_agent)
        """What decides, and remembers who was refused."""
        self.freed = asyncio.Event()
        """Set when a place became free while runs waited for one."""

    @contextmanager
    def for_message(self, session_id: uuid.UUID, agent: str) -> Iterator[Lease | None]:
        """As `lend`, for a run that nobody has queued yet: None also while others wait, who come first.

        Such a message is queued like theirs, and it is looked at once for the one that is next.
        """
        if not self.rules.are_queued_for:
            with self.lend(session_id, agent) as lease:
                yield lease
            return
        yield None
        self.look_for_queued()

    @contextmanager
    def lend(self, session_id: uuid.UUID, agent: str) -> Iterator[Lease | None]:
        """As `lease_for`. The place is taken within, so that nothing else gets it before the run is launched."""
        if (lease := self.lease_for(agent)) is None:
            yield None
            return
        self._promised[session_id] = agent
        try:
            yield lease
        finally:
            self._promised.pop(session_id, None)

    def lease_for(self, agent: str) -> Lease | None:
        """The right to start a run of this agent here; None while there is no place, or the server is stopping."""
        if not self.rules.is_free(agent, self._taken()):
            return None
        return Lease(self._owner, self._lease_seconds, agent, get_registry().limits(agent).max_runs)

    def free(self) -> int:
        """How many more runs may start here, whatever their agents."""
        return self.rules.free(self._taken())

    async def left(self) -> dict[str, int]:
        """How many more runs of each limited agent may start here."""
        limits = {name: get_registry().limits(name).max_runs for name in get_registry().names}
        limited = [name for name, limit in limits.items() if limit is not None]
        active = await in_thread(queries.going_of, limited) if limited else Counter()
        return self.rules.left(limits, active, self._taken())

    def look_for_queued(self) -> None:
        """A run may have been queued that could start here."""
        if self.free():
            self.freed.set()

    def free_one(self, *, has_more: bool, is_limited: bool) -> bool:
        """A run has ended. Whether the next one of its session may start at once, before all others that wait."""
        if has_more and not is_limited and not self.rules.are_queued_for:
            return True
        if self.rules.take_refusals() or has_more:
            self.freed.set()
        return False

    def _taken(self) -> Counter[str]:
        return Counter({**self._promised, **self._working()}.values())
