"""The writer thread of a process, which batches entries; all that is stored of a session goes through entries."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from django.db import Error, connection

from agents.database.threads import is_away
from sessions_app.journal.commit import CommitOnce, Committed, OutcomeUnknown, Result
from sessions_app.journal.entry import Entry
from sessions_app.journal.outage import BackOff, Health

logger = logging.getLogger("myagent.journal")

MAX_BATCH = 500
QUEUE_LENGTH = 10_000
GAP_SECONDS = 0.02
"""Entries that may wait are committed this long after the last commit, or with the next one that may not."""
GIVE_UP_SECONDS = 3.0
"""A journal that is to stop gives up once a commit has failed for this long."""
FROZEN_SECONDS = 10
"""PostgreSQL ends a transaction that has been silent for this long."""


class JournalClosed(Exception):
    """The journal was stopped; nothing more is written."""


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    future: asyncio.Future[Result]


class Journal:
    """Takes entries from the event loop and commits everything that is queued in one transaction, in a thread.

    `on_commit` is called on the loop for each commit, before the callers of its entries are resumed.
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
        self._health = Health()

    @property
    def is_healthy(self) -> bool:
        """False while the database does not answer; new messages are refused then."""
        return self._health.is_healthy

    def start(self) -> None:
        self._thread.start()

    async def record(self, entry: Entry) -> Result:
        """Commit `entry` and return its result. Raises `Refused` when a precondition does not hold."""
        return await (await self.submit(entry))

    async def submit(self, entry: Entry) -> asyncio.Future[Result]:
        """Queue `entry`, waiting only for room, and return the future of its result.

        Entries are applied in the order in which they are submitted.
        """
        while self._outstanding >= QUEUE_LENGTH:
            self._room.clear()
            await self._room.wait()
        return self.offer(entry)

    def offer(self, entry: Entry) -> asyncio.Future[Result]:
        """`submit` without waiting for room, for callers that never have more than one entry in the queue.

        Raises `JournalClosed`.
        """
        if self._stopping:
            raise JournalClosed
        waiting = _Waiting(entry, self._loop.create_future())
        self._outstanding += 1
        with self._wake:
            self._queue.append(waiting)
            self._urgent += not entry.may_wait
            # To wake the thread for an entry that it lets wait would cost more than the entry itself.
            if not (entry.may_wait and self._gathering):
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
                # A bug, which must not end the thread: all later entries would wait for ever.
                logger.exception("The journal could not write a batch.")
                self._answer([(waiting, error) for waiting in batch], None)
            committed_at = time.monotonic()
        connection.close()

    def _next_batch(self, committed_at: float) -> list[_Waiting]:
        """Everything that is queued, at most `MAX_BATCH`; empty when the journal is stopped and has nothing left."""
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._stopping)
            left = committed_at + GAP_SECONDS - time.monotonic()
            if left > 0 and not self._urgent:
                self._gathering = True
                self._wake.wait_for(lambda: self._urgent or self._stopping, timeout=left)
                self._gathering = False
            count = min(len(self._queue), MAX_BATCH)
            batch = [self._queue.popleft() for _ in range(count)]
            self._urgent -= sum(not waiting.entry.may_wait for waiting in batch)
            return batch

    def _commit_all(self, batch: list[_Waiting]) -> None:
        try:
            committed = self._commit_patiently([waiting.entry for waiting in batch])
        except Exception as error:
            if is_away(error) or isinstance(error, OutcomeUnknown):
                # Not one by one: with the database away that would take hours, and with the outcome unknown it could
                # write entries twice.
                logger.exception("The journal gives up %d entries.", len(batch))
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
        self._answer(list(zip(batch, committed.results, strict=True)), committed)

    def _commit_patiently(self, entries: list[Entry]) -> Committed:
        """Commit, and try again for as long as the database is locked or away."""
        once, back_off = CommitOnce(entries), BackOff()
        while True:
            try:
                _let_no_lock_outlive_us()
                committed = once.attempt()
            except Exception as error:
                if not is_away(error):
                    # It did answer. This must be noticed here: requests are refused while it seems to be away.
                    self._health.answered()
                    raise
                if self._stopping and back_off.elapsed >= GIVE_UP_SECONDS:
                    raise
                self._wait_for_database(error, back_off)
            else:
                self._health.answered()
                return committed

    def _wait_for_database(self, error: Exception, back_off: BackOff) -> None:
        pause = back_off.next_pause()
        logger.warning("A commit failed (%s); retrying in %.2f s.", error, pause)
        self._health.failed_for(back_off.elapsed)
        _drop_connection()
        time.sleep(pause)

    def _answer(self, results: list[tuple[_Waiting, Result]], committed: Committed | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver, results, committed)
        except RuntimeError:
            logger.info("The loop is closed; %d results have no reader.", len(results))

    # --- back on the loop ---

    def _deliver(self, results: list[tuple[_Waiting, Result]], committed: Committed | None) -> None:
        self._outstanding -= len(results)
        self._room.set()
        for waiting, result in results:
            if waiting.future.done():
                continue
            if isinstance(result, Exception):
                waiting.future.set_exception(result)
                waiting.future.exception()  # marks it as seen: a submitter that never looks is no error
            else:
                waiting.future.set_result(result)
        if committed is not None:
            self._on_commit(committed)


def _let_no_lock_outlive_us() -> None:
    """A process that is frozen or cut off in a transaction must not block all others that need the same rows."""
    if connection.connection is None and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'")


def _drop_connection() -> None:
    """Close a connection that may be broken; the next commit opens another."""
    try:
        connection.close()
    except Error as error:
        logger.info("Closing a broken connection failed: %s", error)
