"""Measures how late the event loop is: what blocks it makes every client wait."""

from __future__ import annotations

import asyncio

from agents.metrics.measures import LOOP_LAG

BEAT_SECONDS = 0.5


class LoopLag:
    """Lives on the event loop, from `start` to `stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._plan()

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _plan(self) -> None:
        due = self._loop.time() + BEAT_SECONDS
        self._next = self._loop.call_at(due, self._beat, due)

    def _beat(self, due: float) -> None:
        LOOP_LAG.observe(max(self._loop.time() - due, 0.0))
        self._plan()
