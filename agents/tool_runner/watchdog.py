"""Detects from outside that the event loop of a tool is blocked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

CHECKS_PER_STALL = 5


class Watched(Protocol):
    """What the watchdog needs of a loop that runs in another thread."""

    @property
    def busy(self) -> bool: ...

    @property
    def pulse(self) -> Pulse: ...


class Pulse:
    """Whether one loop still answers pings; asked from the server's loop, answered in the loop's own thread.

    `ping` has the loop call a function, `current` returns the task whose code runs there at this moment.
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
        """True from the moment the loop misses its deadline until it answers the last ping."""
        return self._given_up and self._asked

    def detect_stall(self, now: float, stall_seconds: float, *, excused: bool) -> bool:
        """Ping, unless a ping is pending; True once, when one task's code has kept the loop for `stall_seconds`.

        A long turn of the loop that consists of many short steps does not count, because no single tool is to blame.
        `excused` restarts the measurement.
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
    """Checks all busy loops on a timer of the server's loop; the timer runs only while there are any."""

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
        pause = self._stall / CHECKS_PER_STALL
        self._due = time.monotonic() + pause
        self._timer = asyncio.get_running_loop().call_later(pause, self._check_busy_loops)

    def _check_busy_loops(self) -> None:
        self._timer = None
        now = time.monotonic()
        # A late timer means that the whole process stood still (a suspended machine, a held interpreter lock), so that
        # the tools' loops could not answer either.
        excused = now - self._due > self._stall / 2
        busy = [loop for loop in self._loops() if loop.busy and not loop.pulse.stuck]
        for loop in busy:
            if loop.pulse.detect_stall(now, self._stall, excused=excused):
                self._on_stuck(loop)
        if busy:
            self.wake()
