"""The base of all entries of the journal: the rows that one needs locked, and what it writes under these locks."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from agents.budgets.shares import Sharer
from sessions_app.journal.batch import Batch
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.journal.locks import Needs

NO_SESSION = uuid.UUID(int=0)
"""For entries that concern the process and no session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(ABC):
    """One write with its preconditions. `apply` checks these, raising `Refused`, before it changes the batch."""

    session_id: uuid.UUID

    may_wait: ClassVar[bool] = False
    """Whether this entry may wait a few milliseconds for others, so that one commit serves them all."""
    needs_unfinished: ClassVar[bool] = False
    """Whether `apply` reads the session's unfinished runs, which are locked then."""
    loses_files: ClassVar[bool] = False
    """Whether `apply` takes the session's files from it, which are locked then."""

    @property
    def skips_locked(self) -> bool:
        """Whether a session that another transaction has locked is left to it instead of being waited for."""
        return False

    @property
    def read_session(self) -> uuid.UUID | None:
        """A session that must be locked, too, because it is read."""
        return None

    @property
    def run_id(self) -> uuid.UUID | None:
        """The run whose row must be locked."""
        return None

    @property
    def further_runs(self) -> Collection[uuid.UUID]:
        """More runs whose rows must be locked."""
        return ()

    @property
    def client_id(self) -> str | None:
        """The message id, given by a client, that must be looked up."""
        return None

    @property
    def paced_user(self) -> int | None:
        """The user whose messages are admitted one at a time, in all processes."""
        return None

    @property
    def limited_agent(self) -> str | None:
        """The agent whose runs must be counted."""
        return None

    @property
    def counted_sharer(self) -> Sharer | None:
        """Whose sessions must be counted."""
        return None

    @property
    def counts_owner(self) -> bool:
        """Whether what the owner of the session has stored must be counted."""
        return False

    @abstractmethod
    def apply(self, batch: Batch) -> Any:
        """Decide and write; returns the entry's result. Raises `Refused`."""


def needs_of(entries: Sequence[Entry]) -> Needs:
    """What must be locked and looked up before any of these entries is applied."""
    runs = {run_id for entry in entries if (run_id := entry.run_id) is not None}
    sessions = {entry.session_id for entry in entries if not entry.skips_locked}
    sessions |= {session_id for entry in entries if (session_id := entry.read_session) is not None}
    return Needs(
        sessions=sessions,
        claimed_sessions={entry.session_id for entry in entries if entry.skips_locked} - sessions,
        runs=runs.union(*(further for entry in entries if (further := entry.further_runs))),
        unfinished_of={entry.session_id for entry in entries if entry.needs_unfinished},
        paced_users={user_id for entry in entries if (user_id := entry.paced_user) is not None},
        limited_agents={name for entry in entries if (name := entry.limited_agent) is not None},
        counted_sharers={sharer for entry in entries if (sharer := entry.counted_sharer) is not None},
        counted_owners={entry.session_id for entry in entries if entry.counts_owner},
        losing_files={entry.session_id for entry in entries if entry.loses_files},
        client_ids={(entry.session_id, name) for entry in entries if (name := entry.client_id) is not None},
    )


@dataclass(frozen=True, slots=True)
class RunRef:
    """A run and the right to write for it: once the run has a newer `epoch`, another process or nobody owns it.

    `user_id` is the owner of the session, None for an anonymous one; `history_end` is the position of the last message
    before the run's own one, where that is known; `waited` is for how many seconds it was queued.
    """

    session_id: uuid.UUID
    run_id: uuid.UUID
    epoch: int
    user_id: int | None = None
    history_end: int | None = None
    waited: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry(Entry):
    """A write by the owner of a run. Refused with `stale_run` when the writer is not the owner any more."""

    epoch: int
    of_run: uuid.UUID

    @property
    def run_id(self) -> uuid.UUID | None:
        return self.of_run

    def apply(self, batch: Batch) -> Any:
        session = batch.locks.session(self.session_id)
        return self.write(batch, session, batch.locks.owned_run(self.of_run, self.epoch))

    @abstractmethod
    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> Any:
        """Write; the right to do so has been checked."""
