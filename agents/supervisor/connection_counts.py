"""How many connections each worker of a supervisor has, in a piece of memory that all of them share."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from agents.setting_values import MOST_WORKERS

_FILE = "connections"
_SLOTS = 2 * MOST_WORKERS
"""While workers are replaced there may be more than usual."""
_ABSENT = -1


class ConnectionCounts:
    """Lets whoever has fewer connections take the next one.

    The system wakes all workers that wait at one socket, and whoever is fastest would take it, often the same one. Only
    a hint: nobody waits for a count, and one that is wrong for a while costs milliseconds.
    """

    def __init__(self, folder: str) -> None:
        """Raises `OSError` where there is no such memory."""
        path = Path(folder) / _FILE
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            is_new = os.fstat(handle).st_size == 0
            if is_new:
                os.ftruncate(handle, _SLOTS * 4)
            self._counts = memoryview(mmap.mmap(handle, _SLOTS * 4)).cast("i")
        finally:
            os.close(handle)
        if is_new:
            for number in range(_SLOTS):
                self._counts[number] = _ABSENT

    def note(self, number: int, count: int) -> None:
        """The worker of this number has so many."""
        self._counts[number % _SLOTS] = count

    def leave(self, number: int) -> None:
        """The worker of this number takes none any more."""
        self._counts[number % _SLOTS] = _ABSENT

    def others_have_fewer(self, number: int) -> bool:
        """Whether another worker that takes connections has fewer than this one."""
        mine = self._counts[number % _SLOTS]
        return any(_ABSENT < count < mine for count in self._counts)
