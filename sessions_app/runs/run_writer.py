"""Writes the entries of one run in their order, and knows which of them are not committed yet."""

from __future__ import annotations

import asyncio
from typing import Any

from sessions_app.journal.entry import Entry, RunRef
from sessions_app.journal.writer import Journal


class RunWriter:
    """For the owner of a run. `fields` are those that every entry of this owner has."""

    def __init__(self, journal: Journal, ref: RunRef) -> None:
        self.fields: dict[str, Any] = {"session_id": ref.session_id, "of_run": ref.run_id, "epoch": ref.epoch}
        self._journal = journal
        self._unconfirmed: list[asyncio.Future[Any]] = []

    def offer(self, entry: Entry) -> asyncio.Future[Any]:
        """Queue an entry at once, even if the journal is full, and return its outcome."""
        return self._remember(self._journal.offer(entry))

    async def submit(self, entry: Entry) -> None:
        """Queue an entry without waiting for its commit; if it is refused, the next `record` raises."""
        self._remember(await self._journal.submit(entry))

    async def record(self, entry: Entry) -> Any:
        """Commit an entry after all that were queued before. Raises `Refused`, or why one of these was not stored."""
        outcome = await self._journal.submit(entry)
        # As they are now: entries that concurrent calls submit meanwhile come after this one.
        before = tuple(self._unconfirmed)
        # `wait` and not `gather`: a tool call that is cancelled here must not cancel outcomes that others wait for.
        await asyncio.wait([*before, outcome])
        for earlier in before:
            earlier.result()
        return outcome.result()

    def forget_unconfirmed(self) -> None:
        """Do not let later entries fail because of earlier ones: the run is being ended because of these."""
        self._unconfirmed.clear()

    def _remember(self, outcome: asyncio.Future[Any]) -> asyncio.Future[Any]:
        self._unconfirmed = [earlier for earlier in self._unconfirmed if not earlier.done() or earlier.exception()]
        self._unconfirmed.append(outcome)
        return outcome
