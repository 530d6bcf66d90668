"""What every entry of the journal has: which rows it needs locked, and what it does under the locks."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from sessions_app.journal.batch import Batch, LockedRun, LockedSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(ABC):
    """One wish to write. `apply` checks its preconditions first, raising `Refused`, and only then touches the batch."""

    session_id: uuid.UUID

    only_deltas: ClassVar[bool] = False
    """Whether this entry may wait a little for others of its kind."""
    needs_unfinished: ClassVar[bool] = False
    """Whether `apply` looks at the session's unfinished runs."""

    @property
    def run_id(self) -> uuid.UUID | None:
        """The run whose row must be locked."""
        return None

    @property
    def client_id(self) -> str | None:
        """The client's message id that must be looked up."""
        return None

    @property
    def paced_user(self) -> int | None:
        """The user whose requests have to come one after the other, in whichever process."""
        return None

    @property
    def limited_agent(self) -> str | None:
        """The agent whose runs must be counted."""
        return None

    @abstractmethod
    def apply(self, batch: Batch) -> Any:
        """Decide and write; returns what the caller wants to know. Raises `Refused`."""


@dataclass(frozen=True, slots=True)
class RunRef:
    """Which run, and by which right: `epoch` is the owner's, a newer one means that the run is somebody else's now.

    `user_id` is whose session it is, None for nobody's;
    `history_end` is the position of the last message before the run's own one, where that is known.
    """

    session_id: uuid.UUID
    run_id: uuid.UUID
    epoch: int
    user_id: int | None = None
    history_end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry(Entry):
    """Something that the owner of a run reports. Refused with `stale_run` when it is the owner no more."""

    epoch: int
    of_run: uuid.UUID

    @property
    def run_id(self) -> uuid.UUID | None:
        return self.of_run

    def apply(self, batch: Batch) -> Any:
        session = batch.session(self.session_id)
        return self.write(batch, session, batch.owned_run(self.of_run, self.epoch))

    @abstractmethod
    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> Any:
        """What is written once the right to do so is settled."""
