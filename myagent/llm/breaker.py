"""What this process knows of whether a model answers, so that runs do not wait for one that was found dead.

Kept for models that have others to stand in for them, by endpoint and model: all runs and agents of a process share it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from weakref import WeakSet, WeakValueDictionary

logger = logging.getLogger("myagent.model")

PROBE_SECONDS = 30.0
"""A model that was found dead is asked at most once in this time."""
_LEAST_PATIENCE = 15.0


class Breaker:
    """Whether `model` at `place` (an address for people, empty where it has none) may be asked. From any thread."""

    def __init__(self, model: str, place: str = "", *, clock: Callable[[], float] = time.monotonic) -> None:
        self.model = model
        self.place = place
        self.away_since: datetime | None = None
        """When it was found dead, None while it answers."""
        self._clock = clock
        self._lock = threading.Lock()
        self.slowest = 0.0
        """The most seconds that a reply ever took to begin."""
        self._next_probe = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it was found dead, and has not answered since."""
        return self.away_since is not None

    @property
    def patience(self) -> float:
        """The seconds after which a probe that brought nothing has failed: twice what it ever took to begin."""
        return max(_LEAST_PATIENCE, 2 * self.slowest)

    @property
    def seconds_left(self) -> float:
        """Until it may be asked again; 0 when it may be."""
        return max(0.0, self._next_probe - self._clock()) if self.is_open else 0.0

    def admit(self) -> bool:
        """Whether to ask it now. While it is dead, each true answer is a probe, which others have to wait for."""
        with self._lock:
            if self.away_since is None:
                return True
            now = self._clock()
            if now < self._next_probe:
                return False
            self._next_probe = now + PROBE_SECONDS
            return True

    def failed(self) -> None:
        """It was asked and did not answer, although that was tried again where it could help."""
        with self._lock:
            self._next_probe = self._clock() + PROBE_SECONDS
            if self.away_since is not None:
                return
            self.away_since = datetime.now(UTC)
        logger.warning("%s does not answer and is asked at most every %d s.", self._name, PROBE_SECONDS)

    def answered(self, first_seconds: float | None = None) -> None:
        """It did answer, be it with a refusal; `first_seconds` is how long the first piece of the reply took."""
        with self._lock:
            self.slowest = max(self.slowest, first_seconds or 0.0)
            if self.away_since is None:
                return
            self.away_since = None
        logger.warning("%s answers again.", self._name)

    @property
    def _name(self) -> str:
        return f"{self.model} at {self.place}" if self.place else self.model


_lock = threading.Lock()
_shared: WeakValueDictionary[tuple[str, str], Breaker] = WeakValueDictionary()
_all: WeakSet[Breaker] = WeakSet()


def breaker_of(model: str, place: str) -> Breaker:
    """The breaker that all who ask this model at this place share; one of its own where `place` is empty."""
    with _lock:
        found = _shared.get((place, model)) if place else None
        if found is None:
            found = Breaker(model, place)
            _all.add(found)
            if place:
                _shared[place, model] = found
        return found


def all_breakers() -> list[Breaker]:
    """Those that models in use have."""
    with _lock:
        return list(_all)
