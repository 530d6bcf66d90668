"""Seeing from outside that a tool loop does not get on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

LOOKS_PER_STALL = 5


class Watched(Protocol):
    """What the watchdog needs of a loop that runs in another thread."""

    @property
    def busy(self) -> bool: ...

    @property
    def pulse(self) -> Pulse: ...


class Pulse:
    """Whether one loop answers; looked at from the server's loop, answered in the loop's own thread.

    `ping` has the loop call a function, `current` says which task's code runs there at this moment.
    """

    def __init__(self, ping: Callable[[Callable[[], None]], None], current: Callable[[], Any]) -> None:
        self._ping = ping
        self._current = current
        self._asked = False
        self._given_up = False
        self._task: Any = None
        self._since = 0.0

    @property
    def stuck(self) -> bool:
        """Whether it was found not to answer and still does not; it ends when the loop gets to the last ping."""
        return self._given_up and self._asked

    def look(self, now: float, stall_seconds: float, *, excused: bool) -> bool:
        """Whether the loop is found stuck by this look: it sat `stall_seconds` in one piece of code.

        A long turn of many short pieces does not count, as nobody could say which tool to blame. `excused` begins the
        wait anew.
        """
        if self.stuck:
            return False
        task = self._current()
        if not self._asked:
            self._given_up = False
            self._asked = True
            self._task, self._since = task, now
            self._ping(self._answer)
            return False
        if task is not self._task or excused:
            self._task, self._since = task, now
        self._given_up = now - self._since >= stall_seconds
        return self.stuck

    def _answer(self) -> None:
        self._asked = False
        self._task = None


class Watchdog:
    """Looks at all busy loops on a timer of the server's loop, and only while there are any."""

    def __init__(self, loops: Callable[[], Iterable[Watched]], stall_seconds: float, on_stuck: Callable[[Any], None]):
        self._loops = loops
        self._stall = stall_seconds
        self._on_stuck = on_stuck
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def wake(self) -> None:
        """A loop became busy; called on the server's loop."""
        if self._timer is None:
            self._schedule()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        pause = self._stall / LOOKS_PER_STALL
        self._due = time.monotonic() + pause
        self._timer = asyncio.get_running_loop().call_later(pause, self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        # When the timer itself is late, the process stood still (a suspended machine, a held interpreter lock), and
        # the tools' loops could not answer either.
        excused = now - self._due > self._stall / 2
        busy = [loop for loop in self._loops() if loop.busy and not loop.pulse.stuck]
        for loop in busy:
            if loop.pulse.look(now, self._stall, excused=excused):
                self._on_stuck(loop)
        if busy:
            self.wake()
