"""When a worker that died is started again."""

from __future__ import annotations

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A worker that served for so long did not die of its start."""


class RestartPace:
    """The pauses before a worker is started again: none after a steady one, then longer each time."""

    def __init__(self) -> None:
        self._deaths = 0

    def pause(self, seconds_served: float) -> float:
        """A worker died that had served for so long (0: it never did); how many seconds to wait for the next one."""
        self._deaths = 1 if seconds_served >= STEADY_SECONDS else self._deaths + 1
        if self._deaths == 1 and seconds_served > 0:
            return 0.0
        return min(FIRST_SECONDS * 2.0 ** min(self._deaths - 1, 10), LONGEST_SECONDS)
