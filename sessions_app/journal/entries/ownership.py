"""Which process owns a run, and until when. Leases use the database's clock, which all processes share."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from django.db import transaction
from django.db.models.functions import Now

from sessions_app.journal.batch import Batch
from sessions_app.journal.entry import Entry, RunRef
from sessions_app.journal.locked_rows import LockedRun
from sessions_app.journal.placing import place_messages
from sessions_app.models import Run


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to own runs: `owner` names the process, `seconds` is how long it lasts without renewal.

    If `agent` is limited, it holds only while less than `max_runs` of its runs are running, in all processes.
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
        """Whether it holds for one more run."""
        return batch.locks.has_place(self.agent, self.max_runs)


def take_run(batch: Batch, run: LockedRun, lease: Lease, *, begins: bool = True, attempts: int = 1) -> None:
    """Make the lease's owner the owner of `run`, which begins or is resumed."""
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
    """Begin the first queued run of a session.

    Returns it, or None when there is none, another one is active, the agent has no place for it, or, with
    `skip_locked`, somebody else is writing in the session: perhaps another process that begins the very run.
    """

    needs_unfinished: ClassVar[bool] = True

    lease: Lease
    skip_locked: bool = True

    @property
    def skips_locked(self) -> bool:
        return self.skip_locked

    @property
    def limited_agent(self) -> str | None:
        return self.lease.limited_agent

    def apply(self, batch: Batch) -> RunRef | None:
        session = batch.locks.sessions.get(self.session_id)
        if session is None:
            return None
        waiting = batch.locks.unfinished(session.id)
        if not waiting or waiting[0].is_active or not self.lease.holds(batch):
            return None
        run = waiting[0]
        place_messages(batch, session, run)
        take_run(batch, run, self.lease)
        waited = max((batch.now - run.queued_at).total_seconds(), 0.0)
        return RunRef(session.id, run.id, run.epoch, session.user_id, waited=waited)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewLeases(Entry):
    """Renew the lease of these runs of its owner. `session_id` is not used.

    Not of all runs with that owner: one that its process has lost has to be found by others.
    """

    may_wait: ClassVar[bool] = True

    lease: Lease
    run_ids: Collection[uuid.UUID]

    @property
    def further_runs(self) -> Collection[uuid.UUID]:
        """Locked before the time is taken: a lease that began while others held these rows would be shorter."""
        return self.run_ids

    def apply(self, batch: Batch) -> int:
        return _renew(self.lease, self.run_ids)


def renew_unlocked(lease: Lease, run_ids: Collection[uuid.UUID]) -> list[uuid.UUID]:
    """Renew the leases of these runs of their owner, at once and beside the journal; returns those that it has locked.

    It waits for no lock, so that it cannot get into the way of those who lock rows in their order. Blocking.
    """
    with transaction.atomic(durable=True):
        mine = Run.objects.active().filter(pk__in=run_ids, owner=lease.owner)
        unlocked = set(mine.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))
        _renew(lease, unlocked)
        return [pk for pk in mine.values_list("pk", flat=True) if pk not in unlocked]


def _renew(lease: Lease, run_ids: Collection[uuid.UUID]) -> int:
    mine = Run.objects.active().filter(pk__in=run_ids, owner=lease.owner)
    return mine.update(lease_until=Now() + timedelta(seconds=lease.seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRuns(Entry):
    """Release all runs of this owner, so that others take them over at once and count no failed attempt.

    `session_id` is not used.
    """

    owner: str

    def apply(self, batch: Batch) -> int:
        batch.writes.flush()
        batch.locks.distrust()
        return Run.objects.active().filter(owner=self.owner).update(lease_until=Now(), owner="")
