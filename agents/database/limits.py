"""How long this process waits for PostgreSQL: a command as long as it takes, a server not for ever."""

from __future__ import annotations

import time

STATEMENT_SECONDS = 10
"""PostgreSQL ends a statement of a server that takes longer, and a transaction that has been silent for so long."""
ANSWER_SECONDS = 12.0
"""A connection whose PostgreSQL says nothing for so long is given up. Longer, so that one that works is the first."""
CHECK_SECONDS = 2.0
"""The same for the empty statement with which the pool asks whether a connection is alive."""

_is_limited = False
waits: dict[int, float] = {}
"""Since when each connection waits for an answer, by any key of its own; kept by the connections."""


def limit_waiting() -> None:
    """This whole process serves others from now on, and must not keep them waiting."""
    global _is_limited
    _is_limited = True


def is_limited() -> bool:
    """Whether the limits apply here."""
    return _is_limited


def longest_wait() -> float:
    """For how many seconds a connection has been waiting for an answer."""
    return time.monotonic() - min(list(waits.values()), default=time.monotonic())
