"""What was done to the servers, and when: the only excuses there are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

SLACK_SECONDS = 1.0
"""Between what a server stores as a time and what it does."""


class Kind(StrEnum):
    """What can be done to a server."""

    KILL = "kill"
    TERMINATE = "terminate"
    REPLACE = "workers replaced"
    PAUSE = "pause"
    LOCK = "database locked"
    CUT_DATABASE = "database connections cut"
    RESTART_DATABASE = "database restarted"
    MODEL_OUT = "model out"
    REDIS = "redis killed"


INTERRUPTING = frozenset(Kind) - {Kind.MODEL_OUT, Kind.REDIS}
"""What can take a run from its owner."""
CRASHING = INTERRUPTING - {Kind.TERMINATE, Kind.REPLACE}
"""What counts against a run that its process was working on; an orderly end does not."""
REVIVING = frozenset({Kind.PAUSE, Kind.LOCK, Kind.CUT_DATABASE, Kind.RESTART_DATABASE})
"""What can leave a run with two owners for a moment, of which one does not know it yet."""


@dataclass(slots=True)
class Disturbance:
    """`ended` is when everything was as before; endless while it lasts."""

    kind: Kind
    what: str
    begun: float
    ended: float = float("inf")


class Disturbances:
    """All of a round, in the order in which they began."""

    def __init__(self) -> None:
        self.all: list[Disturbance] = []

    @contextmanager
    def during(self, kind: Kind, what: str = "") -> Iterator[None]:
        """Note a disturbance that lasts as long as the block."""
        disturbance = Disturbance(kind, what, time.time())
        self.all.append(disturbance)
        try:
            yield
        finally:
            disturbance.ended = time.time()

    def count(self, kinds: frozenset[Kind], begun: float, ended: float) -> int:
        """How many of these kinds fell into that time."""
        return sum(
            it.kind in kinds and it.begun <= ended + SLACK_SECONDS and it.ended >= begun - SLACK_SECONDS
            for it in self.all
        )

    @property
    def counts(self) -> Counter[str]:
        """How many of each kind there were."""
        return Counter(str(it.kind) for it in self.all)
