"""How long entries wait for others, so that one commit serves them all and commits take a small part of the time."""

from __future__ import annotations

import time
from collections import deque

PATIENCE = 4
"""Entries that may wait do so for this multiple of what a commit takes: then commits take a fifth of the time, or half
of it where text would come in fewer than twenty pieces a second otherwise."""
STREAMING_SECONDS = 0.05
"""Within this time the next commit begins, if it need not wait longer than a commit takes."""
SHORTEST_SECONDS = 0.02
LONGEST_SECONDS = 0.1
CROWD = 4
"""Sessions in one commit that show that many are at work, and that more entries are about to come."""
LONGEST_URGENT_SECONDS = 0.01
_REMEMBERED = 7


class CommitGap:
    """The time between two commits. Used by the thread that commits."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque(maxlen=_REMEMBERED)
        self._ended_at = 0.0
        self._is_crowded = False

    def committed(self, seconds: float, sessions: int) -> None:
        """A commit of entries of so many sessions took so long, and has just ended."""
        self._taken.append(seconds)
        self._is_crowded = sessions >= CROWD
        self._ended_at = time.monotonic()

    def left(self, *, is_urgent: bool) -> float:
        """For how many seconds what is queued still has to wait; 0 or less for not at all.

        Among many sessions even what is urgent waits as long as a commit takes: so commits take half of the time at
        most, and each serves the more.
        """
        return self._ended_at + (self.urgent_seconds if is_urgent else self.patient_seconds) - time.monotonic()

    @property
    def patient_seconds(self) -> float:
        """The gap before a commit of nothing but entries that may wait."""
        usual = self._usual
        patience = min(PATIENCE * usual, max(STREAMING_SECONDS - usual, usual))
        return min(max(patience, SHORTEST_SECONDS), LONGEST_SECONDS)

    @property
    def urgent_seconds(self) -> float:
        """The gap before any other commit."""
        return min(self._usual, LONGEST_URGENT_SECONDS) if self._is_crowded else 0.0

    @property
    def _usual(self) -> float:
        """What a commit takes: the median of the last few, since a busy machine makes single ones long."""
        return sorted(self._taken)[len(self._taken) // 2] if self._taken else 0.0
