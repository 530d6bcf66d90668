"""What is known of a database that is locked, hangs or is away: how long to wait for it, and whether others should."""

from __future__ import annotations

import logging
import threading
import time

from django.db import connection

from agents.database.trouble import cure

logger = logging.getLogger("myagent.journal")

FIRST_BACK_OFF_SECONDS = 0.05
LONGEST_BACK_OFF_SECONDS = 2.0
PATIENCE_SECONDS = 1.0
"""New requests are refused once commits have failed for this long."""
SILENCE_SECONDS = 3.0
"""New requests are refused once a commit has lasted for this long."""
LOOK_SECONDS = 0.25
"""Between two looks of the loop at the commit."""
MISSED_SECONDS = 1.0
"""A loop that has not looked for so long stood still itself, and learns nothing from that."""


class BackOff:
    """The pauses between the attempts of one commit, each longer than the one before."""

    def __init__(self) -> None:
        self._pause = FIRST_BACK_OFF_SECONDS
        self._since = time.monotonic()

    @property
    def elapsed(self) -> float:
        """For how many seconds it has been tried. By the clock: one attempt to connect may take seconds."""
        return time.monotonic() - self._since

    @property
    def is_fresh(self) -> bool:
        """Whether there was no pause yet."""
        return self._pause == FIRST_BACK_OFF_SECONDS

    def next_pause(self) -> float:
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_BACK_OFF_SECONDS)
        return pause


class Health:
    """Whether the database answers, for those who would otherwise queue more than can be written.

    The thread that commits tells what it does; the loop looks, since a thread that hangs tells nothing.
    """

    def __init__(self) -> None:
        self._is_healthy = True
        self._since: float | None = None
        self._looked_at = time.monotonic()
        self._lock = threading.Lock()

    # --- told by the thread ---

    def begin(self) -> None:
        """There is something to commit from now on."""
        self._since = time.monotonic()

    def answered(self) -> None:
        """The database took a commit or refused one; either way it is there."""
        self._since = time.monotonic()
        self._set(True)

    def rest(self) -> None:
        """Everything is committed."""
        self._since = None

    def failed(self, error: Exception) -> None:
        """The database did not take a commit."""
        if self.age >= PATIENCE_SECONDS:
            self._set(False, " ".join(str(error).split()))

    # --- asked by the loop ---

    def look(self) -> None:
        """Called all the time, so that it shows when the loop, or the whole process, did not get to it."""
        now = time.monotonic()
        if (missed := self._missed(now)) and (since := self._since) is not None:
            self._since = min(since + missed, now)
        self._looked_at = now
        self._judge()

    @property
    def age(self) -> float:
        """For how many seconds the oldest entry that is being committed has waited for that."""
        now, since = time.monotonic(), self._since
        return 0.0 if since is None else max(now - since - self._missed(now), 0.0)

    @property
    def is_healthy(self) -> bool:
        self._judge()
        return self._is_healthy

    def _missed(self, now: float) -> float:
        unseen = now - self._looked_at
        return unseen if unseen > MISSED_SECONDS else 0.0

    def _judge(self) -> None:
        if self.age >= SILENCE_SECONDS:
            what = "probably locked, no commit" if connection.vendor == "sqlite" else "no answer"
            self._set(False, f"{what} for {SILENCE_SECONDS:g} s")

    def _set(self, is_healthy: bool, reason: str = "") -> None:
        with self._lock:
            if is_healthy == self._is_healthy:
                return
            self._is_healthy = is_healthy
        if is_healthy:
            logger.warning("The database answers again.")
        else:
            words = " ".join(filter(None, (f"{reason.rstrip('.')}.", cure(reason))))
            logger.warning("❌ The database is unavailable: new messages are refused. %s", words)
