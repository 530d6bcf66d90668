"""The frames that a client has received and not read yet. Needs no socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from myagent.client.frames import ServerFrame


@dataclass(slots=True, eq=False)
class _Waiter:
    matches: Callable[[ServerFrame], bool]
    frame: asyncio.Future[ServerFrame]


class UnreadFrames:
    """A queue of frames. Each is handed out once: to the first task that waits for it, else to the next that asks."""

    def __init__(self) -> None:
        self.frames: deque[ServerFrame] = deque()
        self._waiters: list[_Waiter] = []

    def put(self, frame: ServerFrame) -> None:
        """Add a frame that was received."""
        for waiter in self._waiters:
            if not waiter.frame.done() and waiter.matches(frame):
                waiter.frame.set_result(frame)
                return
        self.frames.append(frame)

    async def wait_for(
        self,
        matches: Callable[[ServerFrame], bool],
        arrival: Callable[[asyncio.Future[ServerFrame]], Awaitable[object]],
    ) -> ServerFrame:
        """The first frame that matches, unread or to come; `arrival` waits for the future of one that is to come."""
        for frame in self.frames:
            if matches(frame):
                self.frames.remove(frame)
                return frame
        waiter = _Waiter(matches, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await arrival(waiter.frame)
            return waiter.frame.result()
        except asyncio.CancelledError:
            if waiter.frame.done():
                self.frames.appendleft(waiter.frame.result())
            raise
        finally:
            self._waiters.remove(waiter)
