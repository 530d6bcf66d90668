"""Which run makes its last attempt here."""

from __future__ import annotations

import uuid
from collections.abc import Collection

LAST_ATTEMPT_SECONDS = 60.0
"""How long a run on its last attempt keeps others from starting theirs."""


class LastAttempt:
    """Lets runs make their last attempt one at a time. Pure: it is told the time, in seconds.

    When a process dies, it is not known which of its runs was the reason, so each of them is one attempt closer to
    being given up. One last attempt at a time finds the run that kills its process, and no other is given up with it.
    """

    def __init__(self) -> None:
        self._run_id: uuid.UUID | None = None
        self._until = 0.0

    def begin(self, run_id: uuid.UUID, now: float) -> None:
        self._run_id, self._until = run_id, now + LAST_ATTEMPT_SECONDS

    def is_under_way(self, working: Collection[uuid.UUID], now: float) -> bool:
        """Whether another run has to wait; `working` are the runs of this process that do not wait for a person."""
        return self._run_id in working and now < self._until
