"""Whether a lease that has expired means that its owner is gone."""

from __future__ import annotations

import time


class LeaseClock:
    """Notices when no owner could renew its lease for a while: the database was away, or this machine slept.

    `expiry_counts` has to be asked at least once a second, whenever the database has answered.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._longest_gap = 1 + lease_seconds / 2
        self._asked_at = self._counts_from = self._now()

    def expiry_counts(self) -> bool:
        """Whether expired leases show dead owners. For one lease after a gap they do not: living owners renew first."""
        now = self._now()
        # Also when the clock was put forward or back.
        if abs(now - self._asked_at) > self._longest_gap:
            self._counts_from = now + self._lease_seconds
        self._asked_at = now
        return now >= self._counts_from

    @staticmethod
    def _now() -> float:
        # Not the monotonic clock: it stands still while the machine sleeps.
        return time.time()
