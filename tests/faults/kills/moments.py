"""What has happened so far in a round, for those who wait to disturb it at that moment."""

from __future__ import annotations

import asyncio
from collections import Counter


class Moments:
    """Of the running event loop; `happened` may be called from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._counts: Counter[str] = Counter()
        self._changed = asyncio.Condition()
        self._noting: set[asyncio.Task[None]] = set()

    def happened(self, name: str) -> None:
        """It happened once more."""
        self._loop.call_soon_threadsafe(self._begin_to_note, name)

    async def nth(self, name: str, number: int) -> None:
        """Wait until it has happened so often."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._counts[name] >= number)

    def _begin_to_note(self, name: str) -> None:
        task = asyncio.create_task(self._note(name))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _note(self, name: str) -> None:
        async with self._changed:
            self._counts[name] += 1
            self._changed.notify_all()
