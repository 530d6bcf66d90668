"""One commit of the journal, and its outcome when the answer to its COMMIT was lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.db import IntegrityError, OperationalError, transaction

from agents.database.threads import is_away
from sessions_app.journal.batch import Batch
from sessions_app.journal.entry import Entry, needs_of
from sessions_app.journal.known_rows import KnownRows
from sessions_app.journal.locked_rows import LockedRun
from sessions_app.journal.locks import Locks
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


def _nothing() -> None:
    pass


def _write(
    entries: Sequence[Entry], known: KnownRows | None = None, answered: Callable[[], None] = _nothing
) -> Committed:
    batch = Batch(needs_of(entries), known, answered=answered)
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

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        before_commit: Callable[[], None] = _nothing,
        answered: Callable[[], None] = _nothing,
        known: KnownRows | None = None,
    ) -> None:
        """`before_commit` is called in each attempt when all is written; what it raises undoes the attempt. `answered`
        is called meanwhile by entries that take long, whenever the database has taken a part.
        """
        self._answered = answered
        self._entries = entries
        self._known = known
        self._before_commit = before_commit
        self._in_doubt: Committed | None = None
        """What the last attempt wrote, if it reached its COMMIT."""
        self._looked_again = False

    @property
    def is_in_doubt(self) -> bool:
        """Whether an attempt may have been stored."""
        return self._in_doubt is not None

    def attempt(self) -> Committed:
        """Commit. Raises what the database raises, or `OutcomeUnknown`; after the former it can be tried again."""
        doubted = self._in_doubt
        with transaction.atomic(durable=True):
            if doubted is not None and _outcome(doubted, self._entries) is Outcome.STORED:
                return doubted
            self._in_doubt = None
            try:
                committed = _write(self._entries, self._known, self._answered)
            except IntegrityError as error:
                # A COMMIT that was given up took effect only now, after it was looked for; so look again.
                if doubted is None or self._looked_again:
                    raise
                self._in_doubt, self._looked_again = doubted, True
                raise OperationalError(str(error)) from error
            self._before_commit()
            self._in_doubt = committed
        if self._known is not None:
            self._known.committed()
        return committed


class Outcome(Enum):
    """Whether a commit took effect whose answer was lost."""

    STORED = "stored"
    LOST = "lost"


class OutcomeUnknown(Exception):
    """A commit broke off and its outcome cannot be found out: to write its entries again could write them twice."""


def _outcome(committed: Committed, entries: Sequence[Entry]) -> Outcome:
    """Of a commit of `entries`; waits for a server that is still working on it. Raises `OutcomeUnknown`."""
    try:
        # Also for what a claim would skip: it may be locked by that very commit.
        Locks(needs_of(entries).without_skipping())
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
