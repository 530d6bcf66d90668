"""What the writer knows of a database that is locked or away: how long to wait for it, and whether others should."""

from __future__ import annotations

import logging
import time

logger = logging.getLogger("myagent.journal")

FIRST_BACK_OFF_SECONDS = 0.05
LONGEST_BACK_OFF_SECONDS = 2.0
PATIENCE_SECONDS = 1.0
"""New requests are refused once commits have failed for this long."""


class BackOff:
    """The pauses between the attempts of one commit, each longer than the one before."""

    def __init__(self) -> None:
        self._pause = FIRST_BACK_OFF_SECONDS
        self._since = time.monotonic()

    @property
    def elapsed(self) -> float:
        """For how many seconds it has been tried. By the clock: one attempt to connect may take seconds."""
        return time.monotonic() - self._since

    def next_pause(self) -> float:
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_BACK_OFF_SECONDS)
        return pause


class Health:
    """Whether the database answers, for those who would otherwise queue more than can be written."""

    def __init__(self) -> None:
        self.is_healthy = True

    def answered(self) -> None:
        """The database took a commit or refused one; either way it is there."""
        self._set(True)

    def failed_for(self, seconds: float) -> None:
        """The database has not taken a commit for so long."""
        if seconds >= PATIENCE_SECONDS:
            self._set(False)

    def _set(self, is_healthy: bool) -> None:
        if is_healthy != self.is_healthy:
            self.is_healthy = is_healthy
            logger.warning(
                "The database %s.", "answers again" if is_healthy else "is unavailable: new messages are refused"
            )
