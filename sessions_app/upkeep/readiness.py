"""Whether this process can take requests: what it writes is stored."""

from __future__ import annotations

import asyncio

from agents.database.threads import is_away
from sessions_app.journal.entries.probe import Probe
from sessions_app.journal.entry import NO_SESSION
from sessions_app.journal.queued_entry import NotStored
from sessions_app.journal.writer import Journal, JournalClosed

FRESH_SECONDS = 2.0
"""How long the outcome of a probe counts, however many ask."""


class Readiness:
    """Lives on the event loop. A disk that is full or a lock that is held shows only when something is written."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._probe: asyncio.Task[bool] | None = None
        self._probed_at = 0.0

    async def is_ready(self) -> bool:
        """Whether a commit succeeds now, or did moments ago."""
        if not self._journal.is_healthy:
            return False
        now = asyncio.get_running_loop().time()
        if self._probe is None or (self._probe.done() and now - self._probed_at > FRESH_SECONDS):
            self._probed_at = now
            self._probe = asyncio.create_task(self._write(), name="probe")
        return await asyncio.shield(self._probe)

    async def _write(self) -> bool:
        try:
            await self._journal.record_promptly(Probe(session_id=NO_SESSION))
        except (NotStored, JournalClosed):
            return False
        except Exception as error:
            if not is_away(error):
                raise
            return False
        return True
