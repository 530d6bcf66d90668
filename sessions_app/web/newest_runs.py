"""The newest runs of a conversation, for clients that take it as a whole, which is not to fill the memory. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from myagent.protocol.server_events import TERMINAL_EVENTS

MAX_SNAPSHOT_BYTES = 8 * 2**20
"""Clients of AG-UI take 10 MiB in one event. What is older than the newest runs of this size is left out."""
_READ_BYTES = 2 * MAX_SNAPSHOT_BYTES
"""Of the log, which has an answer twice: in pieces and as a whole."""

Message = dict[str, Any]


class NewestRuns:
    """Tells, while a log is read, which of its runs need not be kept: ended ones, the oldest first. Never the last one
    and never `wanted`.
    """

    def __init__(self, wanted: str | None = None) -> None:
        self._wanted = wanted
        self._bytes: dict[str, int] = {}
        self._all_bytes = 0
        self._over: set[str] = set()
        self._forgotten: set[str] = set()

    def has_forgotten(self, run_id: str) -> bool:
        """Whether it was told to forget this run: nothing more counts of it."""
        return run_id in self._forgotten

    def take(self, run_id: str, frame: dict[str, Any]) -> list[str]:
        """The next event of a run; returns the runs to be forgotten."""
        about = frame["metadata"]
        told = [frame["content"], *(about.get(key) for key in ("args", "images", "output"))]
        size = len(orjson.dumps(told))
        self._bytes[run_id] = self._bytes.get(run_id, 0) + size
        self._all_bytes += size
        if frame["event"] not in TERMINAL_EVENTS:
            return []
        self._over.add(run_id)
        return self._forget() if self._all_bytes > _READ_BYTES else []

    def _forget(self) -> list[str]:
        found: list[str] = []
        for run_id, size in list(self._bytes.items())[:-1]:
            if self._all_bytes <= _READ_BYTES:
                break
            if run_id in self._over and run_id != self._wanted:
                self._all_bytes -= size
                found.append(run_id)
                del self._bytes[run_id]
        self._forgotten.update(found)
        return found


def newest(exchanges: Sequence[list[Message]], always: list[Message] | None = None) -> list[Message]:
    """The messages of the newest exchanges that fit, and those of `always` in any case."""
    room = MAX_SNAPSHOT_BYTES - (len(orjson.dumps(always)) if always is not None else 0)
    kept: list[list[Message]] = []
    for messages in reversed(exchanges):
        if messages is not always and room >= 0:
            room -= len(orjson.dumps(messages))
        if messages is always or room >= 0:
            kept.append(messages)
    return [message for messages in reversed(kept) for message in messages]
