"""Sessions of MCP that are open in this process, and whose they are. Pure.

They are nothing that lasts: a client whose session has ended begins another one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

MOST = 100
"""Sessions of one caller. So nobody takes up the room of others; for each that is more its least recent one ends."""
IDLE_SECONDS = 30 * 60.0
"""After which the SDK ends a session by itself."""


class OpenSessions:
    """Which sessions callers have, as far as is known, the least recently used one first."""

    def __init__(self, most: int = MOST, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._used: dict[tuple[str, str], float] = {}
        self._counts: Counter[str] = Counter()

    def use(self, owner: str, session: str) -> str | None:
        """A session of this caller is begun or used. Returns the one that has to end for it."""
        self.end(owner, session)
        self._used[owner, session] = self._now()
        self._counts[owner] += 1
        self._forget_idle()
        if self._counts[owner] <= self._most:
            return None
        oldest = next(known for whose, known in self._used if whose == owner)
        self.end(owner, oldest)
        return oldest

    def end(self, owner: str, session: str) -> None:
        """A session has ended; one that is unknown here does no harm."""
        if self._used.pop((owner, session), None) is not None:
            self._counts[owner] -= 1
            if not self._counts[owner]:
                del self._counts[owner]

    def _forget_idle(self) -> None:
        limit = self._now() - IDLE_SECONDS
        idle = []
        for key, used in self._used.items():
            if used >= limit:
                break
            idle.append(key)
        for key in idle:
            self.end(*key)

    def __len__(self) -> int:
        return len(self._used)
