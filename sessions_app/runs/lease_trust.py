"""Whether a lease that ran out tells that its owner is gone."""

from __future__ import annotations

import time


class LeaseTrust:
    """It does not after a time in which nobody could renew any: the database was away, or this machine slept.

    `tell` is called whenever the database has answered, at least once a second.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._longest_gap = 1 + lease_seconds / 2
        self._asked_at = self._trusted_from = self._now()

    def tell(self) -> bool:
        """Whether leases count; for one lease after a silence they do not, so that living owners renew theirs first."""
        now = self._now()
        # Also when the clock was put forward or back.
        if abs(now - self._asked_at) > self._longest_gap:
            self._trusted_from = now + self._lease_seconds
        self._asked_at = now
        return now >= self._trusted_from

    @staticmethod
    def _now() -> float:
        # Not the monotonic clock: it stands still while the machine sleeps.
        return time.time()
