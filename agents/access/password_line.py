"""The line in which passwords wait to be checked: one at a time in a process.

To hash a password keeps a core busy for a third of a second. However many people guess at once, the connections of this
process have the other cores, and somebody who logs in waits for the hash that is being made, not for all guesses: the
newest is next, and those go first who are probably who they say.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 64
"""How many may wait. When one more comes, the oldest is turned away."""
LONGEST_WAIT_SECONDS = 15.0


class LineIsFull(Exception):
    """Too many others: try again in some seconds."""


class _InLine:
    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.called = threading.Event()
        self.turned_away = False


class PasswordLine:
    """Whose turn it is. `turn` blocks, so the caller must hold no connection to the database meanwhile."""

    def __init__(self, longest: int = LONGEST, seconds: float = LONGEST_WAIT_SECONDS) -> None:
        self._longest = longest
        self._seconds = seconds
        self._lock = threading.Lock()
        self._is_busy = False
        self._waiting: list[_InLine] = []

    @contextmanager
    def turn(self, rank: int) -> Iterator[None]:
        """Wait for the turn and have it within this context; lower ranks go first. Raises `LineIsFull`."""
        self._wait(_InLine(rank))
        try:
            yield
        finally:
            self._call_next()

    def __len__(self) -> int:
        return len(self._waiting)

    def _wait(self, waiter: _InLine) -> None:
        with self._lock:
            if not self._is_busy:
                self._is_busy = True
                return
            self._waiting.append(waiter)
            if len(self._waiting) > self._longest:
                self._turn_away(max(self._waiting, key=lambda it: it.rank))  # of several the first, which is the oldest
        waiter.called.wait(self._seconds)
        with self._lock:
            if waiter in self._waiting:  # nobody has called
                self._turn_away(waiter)
        if waiter.turned_away:
            raise LineIsFull

    def _turn_away(self, waiter: _InLine) -> None:
        self._waiting.remove(waiter)
        waiter.turned_away = True
        waiter.called.set()

    def _call_next(self) -> None:
        with self._lock:
            if not self._waiting:
                self._is_busy = False
                return
            waiter = min(reversed(self._waiting), key=lambda it: it.rank)
            self._waiting.remove(waiter)
            waiter.called.set()


line = PasswordLine()
"""That of this process."""
