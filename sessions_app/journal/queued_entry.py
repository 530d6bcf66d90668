"""An entry in the journal, and whether those who wait for it can still take it back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sessions_app.journal.entry import Entry


class Withdrawn(Exception):
    """The entry was taken back before it was stored, and will not be."""


class NotStored(Exception):
    """The database does not answer; `is_certain` says that the entry is not stored, and will not be."""

    def __init__(self, *, is_certain: bool) -> None:
        self.is_certain = is_certain
        super().__init__("not stored" if is_certain else "maybe not stored")


@dataclass(slots=True)
class QueuedEntry:
    """An entry with the future of its result.

    An entry that is `fixed` cannot be taken back: its COMMIT is on its way, or broke off with an unknown outcome.
    """

    entry: Entry
    future: asyncio.Future[Any]
    is_fixed: bool = False
    is_withdrawn: bool = False


class Withdrawals:
    """Decides between the loop, which takes entries back, and the thread, which is about to commit them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def withdraw(self, waiting: QueuedEntry) -> bool:
        """Take an entry back; False when it may be stored."""
        with self._lock:
            waiting.is_withdrawn = not waiting.is_fixed
            return waiting.is_withdrawn

    def fix(self, batch: Iterable[QueuedEntry]) -> None:
        """Called right before the COMMIT. Raises `Withdrawn` if one of the entries was taken back."""
        with self._lock:
            if any(waiting.is_withdrawn for waiting in batch):
                raise Withdrawn
            for waiting in batch:
                waiting.is_fixed = True

    def release(self, batch: Iterable[QueuedEntry]) -> None:
        """Called when nothing was committed: from now on the entries can be taken back again."""
        with self._lock:
            for waiting in batch:
                waiting.is_fixed = False
