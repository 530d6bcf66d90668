"""Every second: tells those whose run waits for a place where it stands, whichever process will run it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection

from agents.database.threads import in_thread
from agents.loading.registry import get_registry
from sessions_app.delivery.hub import Hub
from sessions_app.run_queue import Place, places_of

_SHARE_OF_TIME = 0.1
"""How much of the time may be spent on looking at a queue that is very long."""
_LONGEST_PAUSE = 10.0
"""A look that takes so long that more would follow says something about the machine, not about the queue."""


class QueueWatch:
    """Lives on the event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._not_before = 0.0

    async def look(self) -> None:
        """Look at the queue, if somebody here may be waiting in it."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before or not (attached := list(self._hub.attached)):
            return
        ends = self._hub.ends
        places, seconds = await in_thread(_timed_places, attached, get_registry().names)
        self._hub.tell_places(places, ends)
        self._not_before = loop.time() + min(seconds / _SHARE_OF_TIME, _LONGEST_PAUSE)


def _timed_places(attached: Collection[uuid.UUID], agents: Collection[str]) -> tuple[dict[uuid.UUID, Place], float]:
    """With the seconds that it took; what was waited for a thread is no work."""
    began = time.monotonic()
    return places_of(attached, agents), time.monotonic() - began
