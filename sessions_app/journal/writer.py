"""The one writer. Whatever is stored of a session goes through `commit`; `Journal` is the thread that batches it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import Error, connection, transaction

from agents.database.threads import is_away
from sessions_app.journal.batch import Batch, Growth, Refused
from sessions_app.journal.entry import Entry
from sessions_app.journal.run_log import RunEnd

logger = logging.getLogger("myagent.journal")

MAX_BATCH = 500
QUEUE_LENGTH = 10_000
DELTA_GAP_SECONDS = 0.02
"""Entries that hold nothing but deltas wait until this long after the last commit; all others never wait."""
FIRST_BACK_OFF_SECONDS = 0.05
LONGEST_BACK_OFF_SECONDS = 2.0
PATIENCE_SECONDS = 1.0
"""How long a commit may be in vain before new requests are refused."""
GIVE_UP_SECONDS = 3.0
"""How long a commit may be in vain once the journal is to stop."""
FROZEN_SECONDS = 10
"""Of silence in the middle of a transaction, after which PostgreSQL ends it."""

Outcome = Any


@dataclass(slots=True)
class Committed:
    """What one commit did: an outcome or a `Refused` per entry, and how the logs grew."""

    outcomes: list[Outcome | Refused]
    growths: list[Growth] = field(default_factory=list)
    deleted: list[Any] = field(default_factory=list)
    ended: list[RunEnd] = field(default_factory=list)


def commit(entries: Sequence[Entry]) -> Committed:
    """Write `entries` in one transaction, each that its preconditions allow.

    Plain and synchronous, for any thread with a database connection. Raises what the database raises; then nothing
    was written.
    """
    with transaction.atomic(durable=True):
        return _write(entries, Batch())


def _write(entries: Sequence[Entry], batch: Batch) -> Committed:
    _lock(entries, batch)
    outcomes = [_apply(entry, batch) for entry in entries]
    batch.close()
    return Committed(outcomes, list(batch.growths.values()), batch.deleted, batch.ended)


def _took_effect(batch: Batch, entries: Sequence[Entry]) -> bool:
    """Whether a commit of these entries that seemed to fail did not; waits for a server that is still at it.

    Raises `OutcomeUnknown` when that cannot be found out.
    """
    try:
        _lock(entries, Batch())
        return batch.is_stored()
    except Exception as error:
        if is_away(error):
            raise
        raise OutcomeUnknown from error


def _lock(entries: Sequence[Entry], batch: Batch) -> None:
    batch.lock_sessions(entry.session_id for entry in entries)
    run_ids = [run_id for entry in entries if (run_id := entry.run_id) is not None]
    unfinished_of = [entry.session_id for entry in entries if entry.needs_unfinished]
    if run_ids or unfinished_of:
        batch.lock_runs(run_ids, unfinished_of)
    if paced := {user_id for entry in entries if (user_id := entry.paced_user) is not None}:
        batch.lock_paces(paced)
    if limited := {name for entry in entries if (name := entry.limited_agent) is not None}:
        batch.lock_agents(limited)
    if pairs := [(entry.session_id, name) for entry in entries if (name := entry.client_id) is not None]:
        batch.find_client_ids(pairs)


def _apply(entry: Entry, batch: Batch) -> Outcome | Refused:
    try:
        return entry.apply(batch)
    except Refused as refusal:
        return refusal


class JournalClosed(Exception):
    """The journal was stopped; nothing more is written."""


class OutcomeUnknown(Exception):
    """A commit broke off, and nobody can tell whether it took effect: to write it again could write it twice."""


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    future: asyncio.Future[Outcome]


class Journal:
    """Takes entries from the event loop and commits everything that is queued in one transaction, in a thread.

    `on_commit` is called on the loop for each commit, before the callers of its entries go on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_commit: Callable[[Committed], None]) -> None:
        self._loop = loop
        self._on_commit = on_commit
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._urgent = 0
        self._gathering = False
        self._stopping = False
        self._outstanding = 0
        self._room = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self.is_healthy = True
        """False while the database does not answer; new messages are refused then."""

    def start(self) -> None:
        self._thread.start()

    async def record(self, entry: Entry) -> Outcome:
        """Commit `entry` and return its outcome. Raises `Refused` when its precondition does not hold."""
        return await (await self.submit(entry))

    async def submit(self, entry: Entry) -> asyncio.Future[Outcome]:
        """Queue `entry`, waiting only for room, and return the future of its outcome.

        Entries are applied in the order in which they are submitted.
        """
        while self._outstanding >= QUEUE_LENGTH:
            self._room.clear()
            await self._room.wait()
        return self.offer(entry)

    def offer(self, entry: Entry) -> asyncio.Future[Outcome]:
        """`submit` without waiting for room, for those who never have more than one entry on its way.

        Raises `JournalClosed`.
        """
        if self._stopping:
            raise JournalClosed
        waiting = _Waiting(entry, self._loop.create_future())
        self._outstanding += 1
        with self._wake:
            self._queue.append(waiting)
            self._urgent += not entry.only_deltas
            # Waking the thread for a delta that it lets wait would cost more than the delta itself.
            if not (entry.only_deltas and self._gathering):
                self._wake.notify()
        return waiting.future

    async def stop(self) -> None:
        """Commit what is queued and end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    # --- in the thread ---

    def _work(self) -> None:
        committed_at = 0.0
        while batch := self._next_batch(committed_at):
            try:
                self._commit_all(batch)
            except Exception as error:
                # Must not happen, and must not end the thread: every later entry would wait for ever.
                logger.exception("The journal could not write a batch.")
                self._answer([(waiting, error) for waiting in batch], None)
            committed_at = time.monotonic()
        connection.close()

    def _next_batch(self, committed_at: float) -> list[_Waiting]:
        """Everything that is queued, at most `MAX_BATCH`; empty when the journal is stopped and has nothing left."""
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._stopping)
            left = committed_at + DELTA_GAP_SECONDS - time.monotonic()
            if left > 0 and not self._urgent:
                self._gathering = True
                self._wake.wait_for(lambda: self._urgent or self._stopping, timeout=left)
                self._gathering = False
            count = min(len(self._queue), MAX_BATCH)
            batch = [self._queue.popleft() for _ in range(count)]
            self._urgent -= sum(not waiting.entry.only_deltas for waiting in batch)
            return batch

    def _commit_all(self, batch: list[_Waiting]) -> None:
        try:
            committed = self._commit_patiently([waiting.entry for waiting in batch])
        except Exception as error:
            if is_away(error) or isinstance(error, OutcomeUnknown):
                # The journal stops and the database is away: trying each entry by itself would take hours. Or some of
                # them would be written twice.
                logger.exception("The journal gives %d entries up.", len(batch))
                self._answer([(waiting, error) for waiting in batch], None)
                return
            if len(batch) == 1:
                logger.exception("The journal could not write %s.", type(batch[0].entry).__name__)
                self._answer([(batch[0], error)], None)
                return
            # One bad entry must fail alone.
            logger.warning("A batch of %d entries failed (%r); writing them one by one.", len(batch), error)
            for waiting in batch:
                self._commit_all([waiting])
            return
        self._answer(list(zip(batch, committed.outcomes, strict=True)), committed)

    def _commit_patiently(self, entries: list[Entry]) -> Committed:
        """Commit, trying again for as long as the database is locked or away."""
        back_off, since = FIRST_BACK_OFF_SECONDS, time.monotonic()
        written: tuple[Batch, Committed] | None = None
        while True:
            try:
                _let_no_lock_outlive_us()
                with transaction.atomic(durable=True):
                    # A connection that broke during COMMIT leaves open whether it took effect.
                    if written is None or not _took_effect(written[0], entries):
                        written = None
                        batch = Batch()
                        written = batch, _write(entries, batch)
            except Exception as error:
                if not is_away(error):
                    # It did answer. Nobody else would find out: requests are refused while it seems to be away.
                    self._set_healthy(True)
                    raise
                # By the clock: one attempt at a connection may take seconds.
                away = time.monotonic() - since
                if self._stopping and away >= GIVE_UP_SECONDS:
                    raise
                logger.warning("The database does not take a commit (%s); trying again in %.2f s.", error, back_off)
                if away >= PATIENCE_SECONDS:
                    self._set_healthy(False)
                _drop_connection()
                time.sleep(back_off)
                back_off = min(back_off * 2, LONGEST_BACK_OFF_SECONDS)
            else:
                self._set_healthy(True)
                return written[1]

    def _set_healthy(self, is_healthy: bool) -> None:
        if is_healthy != self.is_healthy:
            self.is_healthy = is_healthy
            logger.warning("The database %s.", "answers again" if is_healthy else "is away: new messages are refused")

    def _answer(self, results: list[tuple[_Waiting, Outcome]], committed: Committed | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver, results, committed)
        except RuntimeError:
            logger.info("The loop is closed; %d outcomes have no reader.", len(results))

    # --- back on the loop ---

    def _deliver(self, results: list[tuple[_Waiting, Outcome]], committed: Committed | None) -> None:
        self._outstanding -= len(results)
        self._room.set()
        for waiting, outcome in results:
            if waiting.future.done():
                continue
            if isinstance(outcome, Exception):
                waiting.future.set_exception(outcome)
                waiting.future.exception()  # whoever submitted it may not look; that is no error to report
            else:
                waiting.future.set_result(outcome)
        if committed is not None:
            self._on_commit(committed)


def _let_no_lock_outlive_us() -> None:
    """A process that is frozen in a transaction, or cut off, must not stop all others that want the same rows."""
    if connection.connection is None and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'")


def _drop_connection() -> None:
    """Give up a connection that may be broken; the next commit opens another."""
    try:
        connection.close()
    except Error as error:
        logger.info("Closing a broken connection failed: %s", error)
