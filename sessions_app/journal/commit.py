"""One commit of the journal, and its outcome when the answer to its COMMIT was lost."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.db import transaction

from agents.database.threads import is_away
from sessions_app.journal.batch import Batch
from sessions_app.journal.entry import Entry, needs_of
from sessions_app.journal.locks import LockedRun, Locks
from sessions_app.journal.log import Growth
from sessions_app.journal.refusal import Refused
from sessions_app.journal.run_log import RunEnd
from sessions_app.models import Event, Run, Session

Result = Any


@dataclass(slots=True)
class Committed:
    """What one commit did: a result or a `Refused` per entry, how the logs grew, which sessions and runs it ended."""

    results: list[Result | Refused]
    growths: list[Growth] = field(default_factory=list)
    deleted: list[uuid.UUID] = field(default_factory=list)
    ended: list[RunEnd] = field(default_factory=list)
    claimed: Collection[LockedRun] = ()
    """The runs that have a new epoch."""

    @classmethod
    def of(cls, batch: Batch, results: list[Result | Refused]) -> Committed:
        growths, claimed = list(batch.log.growths.values()), list(batch.claimed.values())
        return cls(results, growths, batch.deleted, batch.ended, claimed)


def commit(entries: Sequence[Entry]) -> Committed:
    """Write `entries` in one transaction, each of them whose preconditions hold.

    Blocking, for any thread with a database connection. Raises what the database raises; then nothing was written.
    """
    with transaction.atomic(durable=True):
        return _write(entries)


def _write(entries: Sequence[Entry]) -> Committed:
    batch = Batch(needs_of(entries))
    results = [_apply(entry, batch) for entry in entries]
    batch.close()
    return Committed.of(batch, results)


def _apply(entry: Entry, batch: Batch) -> Result | Refused:
    try:
        return entry.apply(batch)
    except Refused as refusal:
        return refusal


class CommitOnce:
    """Entries that are committed once, however many attempts it takes: a connection that broke during the COMMIT
    leaves open whether that took effect, and then the next attempt begins with finding out.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._in_doubt: Committed | None = None
        """What the last attempt wrote, if it reached its COMMIT."""

    def attempt(self) -> Committed:
        """Commit. Raises what the database raises, or `OutcomeUnknown`; after the former it can be tried again."""
        with transaction.atomic(durable=True):
            if self._in_doubt is not None and _outcome(self._in_doubt, self._entries) is Outcome.STORED:
                return self._in_doubt
            self._in_doubt = None
            self._in_doubt = _write(self._entries)
            return self._in_doubt


class Outcome(Enum):
    """Whether a commit took effect whose answer was lost."""

    STORED = "stored"
    LOST = "lost"


class OutcomeUnknown(Exception):
    """A commit broke off and its outcome cannot be found out: to write its entries again could write them twice."""


def _outcome(committed: Committed, entries: Sequence[Entry]) -> Outcome:
    """Of a commit of `entries`; waits for a server that is still working on it. Raises `OutcomeUnknown`."""
    try:
        Locks(needs_of(entries))
        return read_outcome(committed)
    except Exception as error:
        if is_away(error):
            raise
        raise OutcomeUnknown from error


def read_outcome(committed: Committed) -> Outcome:
    """What the database tells of this commit: by its events, its claims, or its deletions.

    It took effect as a whole or not at all, so that any of its sessions tells, and those that others have deleted since
    need not.
    """
    kept = set(
        Session.objects.filter(pk__in=[growth.session_id for growth in committed.growths]).values_list("pk", flat=True)
    )
    newest = [(growth.session_id, growth.events[-1]) for growth in committed.growths if growth.session_id in kept]
    events = [Event.objects.filter(session_id=pk, seq=logged.seq, frame=logged.frame) for pk, logged in newest]
    # A claim logs nothing, but its epoch is used once. Its owner may have released the run since.
    claims = [Run.objects.filter(pk=run.id, owner__in=(run.owner, ""), epoch=run.epoch) for run in committed.claimed]
    if signs := events or claims:
        is_stored = all(rows.exists() for rows in signs)
    else:
        is_stored = bool(committed.deleted) and not Session.objects.filter(pk__in=committed.deleted).exists()
    return Outcome.STORED if is_stored else Outcome.LOST
