"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

FIRST_SECONDS = 0.25
MOST_SECONDS = 15.0


@dataclass(slots=True)
class Backoff:
    """Pauses that double from attempt to attempt, each cut by up to half so that clients do not come all at once."""

    first: float = FIRST_SECONDS
    most: float = MOST_SECONDS
    spread: Callable[[], float] = random.random
    """A number from 0 to 1."""
    _next: float = 0.0

    def pause(self, *, at_least: float = 0.0) -> float:
        """Seconds until the next attempt."""
        seconds = max(self._next or self.first, at_least)
        self._next = min(seconds * 2, self.most)
        return seconds * (1 - self.spread() / 2)

    def reset(self) -> None:
        """Begin again: the last attempt was a success."""
        self._next = 0.0
