"""Who works on a run, and until when. Leases run by the database's clock, which all processes share."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from django.db.models.functions import Now

from sessions_app.journal.batch import Batch, LockedRun
from sessions_app.journal.entries.ending import place_messages
from sessions_app.journal.entry import Entry, RunRef
from sessions_app.models import Run


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on runs: `owner` names the process, `seconds` is how long without renewal.

    Where `agent` is limited, it holds only while less than `max_runs` of its runs go on, in whichever processes.
    """

    owner: str
    seconds: float
    agent: str = ""
    max_runs: int | None = None

    @property
    def limited_agent(self) -> str | None:
        """The agent whose runs must be counted."""
        return None if self.max_runs is None else self.agent

    def holds(self, batch: Batch) -> bool:
        """Whether it is good for one more run."""
        return batch.has_place(self.agent, self.max_runs)


def take_run(batch: Batch, run: LockedRun, lease: Lease, *, begins: bool = True, attempts: int = 1) -> None:
    """Make the lease's owner the one who may write for `run`, which begins with that or goes on."""
    begun = {"started_at": batch.now} if begins else {}
    batch.change_run(
        run,
        status=Run.Status.RUNNING,
        owner=lease.owner,
        epoch=run.epoch + 1,
        attempts=attempts,
        lease_until=batch.database_now + timedelta(seconds=lease.seconds),
        **begun,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNext(Entry):
    """Take the run that is next in a session.

    Returns it, or None when there is none, another one is going, or the agent has no place for it.
    """

    needs_unfinished: ClassVar[bool] = True

    lease: Lease

    @property
    def limited_agent(self) -> str | None:
        return self.lease.limited_agent

    def apply(self, batch: Batch) -> RunRef | None:
        session = batch.session(self.session_id)
        waiting = batch.unfinished(session.id)
        if not waiting or waiting[0].is_active or not self.lease.holds(batch):
            return None
        run = waiting[0]
        place_messages(batch, session, run.id)
        take_run(batch, run, self.lease)
        return RunRef(session.id, run.id, run.epoch, session.user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewLeases(Entry):
    """Keep these runs of the lease's owner. `session_id` is not looked at.

    Not all that bear the owner's name: one that nobody here works on any more has to be found by others.
    """

    only_deltas: ClassVar[bool] = True

    lease: Lease
    run_ids: Collection[uuid.UUID]

    def apply(self, batch: Batch) -> int:
        mine = Run.objects.active().filter(pk__in=self.run_ids, owner=self.lease.owner)
        # Locked first: a lease that began before others let go of these rows would be shorter.
        list(mine.select_for_update(no_key=True).order_by("pk").values_list("pk"))
        return mine.update(lease_until=Now() + timedelta(seconds=self.lease.seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRuns(Entry):
    """Let go of all runs of this owner: others need not wait, and see that nothing went wrong.

    `session_id` is not looked at.
    """

    owner: str

    def apply(self, batch: Batch) -> int:
        batch.flush()
        return Run.objects.active().filter(owner=self.owner).update(lease_until=Now(), owner="")
