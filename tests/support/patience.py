"""How long tests wait for what has to come, and what a busy machine adds to what must not take long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

WAIT_SECONDS = 120.0
"""Far more than anything takes, also on a machine that has others to serve: only a test that fails waits so long."""
_WORK_SECONDS = 0.02


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is done here takes no longer than `seconds` on a machine without others, and on this one in proportion."""
    began, before = time.monotonic(), _busyness()
    yield
    took = time.monotonic() - began
    most = seconds * max(before, _busyness())
    assert took < most, f"{took:.1f} s instead of less than {most:.1f}"


def _busyness() -> float:
    """How many times as long as alone a bit of work takes now."""
    began, worked = time.monotonic(), time.thread_time()
    while time.thread_time() - worked < _WORK_SECONDS:
        pass
    return max(1.0, (time.monotonic() - began) / (time.thread_time() - worked))
