"""Every second: tells those whose run waits for a place where it stands, whichever process will run it."""

from __future__ import annotations

import asyncio

from agents.database.threads import in_thread
from agents.loading.registry import get_registry
from sessions_app.delivery.hub import Hub
from sessions_app.run_queue import places_of

_SHARE_OF_TIME = 0.1
"""How much of the time may be spent on looking at a queue that is very long."""


class QueueWatch:
    """Lives on the event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._not_before = 0.0

    async def look(self) -> None:
        """Look at the queue, if somebody here may be waiting in it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if began < self._not_before or not (attached := list(self._hub.attached)):
            return
        ends = self._hub.ends
        self._hub.tell_places(await in_thread(places_of, attached, get_registry().names), ends)
        self._not_before = began + (loop.time() - began) / _SHARE_OF_TIME
