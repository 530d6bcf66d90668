"""The writer thread of a process, which batches entries; all that is stored of a session goes through entries."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal

from django.db import Error, connection

from agents.database.database_file import DatabaseFile
from agents.database.migrate import explained
from agents.database.threads import is_away
from agents.metrics import measures
from sessions_app.journal.commit import CommitOnce, Committed, OutcomeUnknown, Result
from sessions_app.journal.commit_gap import CommitGap
from sessions_app.journal.entry import Entry
from sessions_app.journal.known_rows import KnownRows
from sessions_app.journal.outage import LOOK_SECONDS, SILENCE_SECONDS, BackOff, Health
from sessions_app.journal.queued_entry import NotStored, QueuedEntry, Withdrawals, Withdrawn

logger = logging.getLogger("myagent.journal")

MAX_BATCH = 500
QUEUE_LENGTH = 10_000
GIVE_UP_SECONDS = 3.0
"""A journal that is to stop gives up once a commit has failed for this long."""
STOP_SECONDS = 5.0
"""A journal that is to stop is left alone, in its thread, when it has not ended after so long."""
HOPELESS_SECONDS = 1.0
"""The same while the database does not answer."""


Awaited = Literal["anything", "urgent", "nothing"]
"""The entries that the thread is to be woken for."""


class JournalClosed(Exception):
    """The journal was stopped; nothing more is written."""


class Journal:
    """Takes entries from the event loop and commits everything that is queued in one transaction, in a thread.

    `on_commit` is called on the loop for each commit, before the callers of its entries are resumed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_commit: Callable[[Committed], None]) -> None:
        self._loop = loop
        self._on_commit = on_commit
        self._queue: deque[QueuedEntry] = deque()
        self._wake = threading.Condition()
        self._urgent = 0
        self._awaited: Awaited = "nothing"
        self._gap = CommitGap()
        self._stopping = False
        self._outstanding = 0
        self._room = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._ended = asyncio.Event()
        self._health = Health()
        self._withdrawals = Withdrawals()
        self._file = DatabaseFile()
        self._known = KnownRows()

    @property
    def is_healthy(self) -> bool:
        """False while the database does not answer; new messages are refused then."""
        return self._health.is_healthy

    @property
    def age(self) -> float:
        """For how many seconds the oldest entry that is being committed has waited for that."""
        return self._health.age

    def start(self) -> None:
        self._look()
        self._thread.start()

    def _look(self) -> None:
        self._health.look()
        if not self._ended.is_set():
            self._loop.call_later(LOOK_SECONDS, self._look)

    async def record(self, entry: Entry) -> Result:
        """Commit `entry` and return its result. Raises `Refused` when a precondition does not hold."""
        return await (await self.submit(entry))

    async def record_promptly(self, entry: Entry, *, then: Callable[[Result], None] | None = None) -> Result:
        """`record` for those who cannot wait for a database that does not answer. Raises `NotStored` instead.

        `then` is called with the result once it is committed, also if nobody waits for it any more.
        """
        if not self.is_healthy:
            raise NotStored(is_certain=True)
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                waiting = await self._enqueue(entry)
        except TimeoutError:
            raise NotStored(is_certain=True) from None
        if then is not None:
            waiting.future.add_done_callback(lambda done: done.exception() or then(done.result()))
        # Not awaited itself: a caller that is cancelled does not cancel the commit.
        while not (await asyncio.wait({waiting.future}, timeout=LOOK_SECONDS))[0]:
            if not self.is_healthy:
                raise NotStored(is_certain=self._withdrawals.withdraw(waiting))
        return waiting.future.result()

    async def submit(self, entry: Entry) -> asyncio.Future[Result]:
        """Queue `entry`, waiting only for room, and return the future of its result.

        Entries are applied in the order in which they are submitted.
        """
        return (await self._enqueue(entry)).future

    async def _enqueue(self, entry: Entry) -> QueuedEntry:
        while self._outstanding >= QUEUE_LENGTH:
            self._room.clear()
            await self._room.wait()
        return self._add(entry)

    def offer(self, entry: Entry) -> asyncio.Future[Result]:
        """`submit` without waiting for room, for callers that never have more than one entry in the queue.

        Raises `JournalClosed`.
        """
        return self._add(entry).future

    def _add(self, entry: Entry) -> QueuedEntry:
        if self._stopping:
            raise JournalClosed
        waiting = QueuedEntry(entry, self._loop.create_future())
        self._outstanding += 1
        with self._wake:
            self._queue.append(waiting)
            self._urgent += not entry.may_wait
            # To wake the thread for what it does not wait for would cost more than the entry itself.
            if self._awaited == "anything" or (self._awaited == "urgent" and not entry.may_wait):
                self._awaited = "nothing"
                self._wake.notify()
        return waiting

    async def stop(self) -> None:
        """Commit what is queued and end the thread; one that hangs in the database is left behind."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        try:
            async with asyncio.timeout(STOP_SECONDS if self.is_healthy else HOPELESS_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            logger.warning("The database does not answer; %d entries are not stored.", self._outstanding)

    # --- in the thread ---

    def _work(self) -> None:
        while batch := self._next_batch():
            began_at = time.monotonic()
            self._health.begin()
            try:
                self._commit_all(batch)
            except Exception as error:
                # A bug, which must not end the thread: all later entries would wait for ever.
                logger.exception("The journal could not write a batch.")
                self._answer([(waiting, error) for waiting in batch], None)
            self._health.rest()
            self._gap.committed(time.monotonic() - began_at, len({waiting.entry.session_id for waiting in batch}))
        _drop_connection()
        self._call_loop(self._ended.set)

    def _next_batch(self) -> list[QueuedEntry]:
        """Everything that is queued, at most `MAX_BATCH`; empty when the journal is stopped and has nothing left."""
        with self._wake:
            while not self._stopping:
                if not self._queue:
                    self._wait("anything")
                elif (left := self._gap.left(is_urgent=self._urgent > 0)) > 0:
                    self._wait("nothing" if self._urgent else "urgent", left)
                else:
                    break
            count = min(len(self._queue), MAX_BATCH)
            batch = [self._queue.popleft() for _ in range(count)]
            self._urgent -= sum(not waiting.entry.may_wait for waiting in batch)
            return batch

    def _wait(self, awaited: Awaited, seconds: float | None = None) -> None:
        self._awaited = awaited
        self._wake.wait(seconds)
        self._awaited = "nothing"

    def _commit_all(self, given: list[QueuedEntry]) -> None:
        if not (batch := self._without_withdrawn(given)):
            return
        try:
            committed = self._commit_patiently(batch)
        except Withdrawn:
            self._commit_all(batch)
            return
        except Exception as error:
            if is_away(error) or isinstance(error, OutcomeUnknown):
                # Not one by one: with the database away that would take hours, and with the outcome unknown it could
                # write entries twice.
                logger.error("The journal gives up %d entries: %r", len(batch), error)
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

    def _without_withdrawn(self, batch: list[QueuedEntry]) -> list[QueuedEntry]:
        rest = [waiting for waiting in batch if not waiting.is_withdrawn]
        if len(rest) < len(batch):
            kept = set(map(id, rest))
            self._answer([(waiting, Withdrawn()) for waiting in batch if id(waiting) not in kept], None)
        return rest

    def _commit_patiently(self, batch: list[QueuedEntry]) -> Committed:
        """Commit, and try again for as long as the database is locked or away. Raises `Withdrawn`."""
        fix = partial(self._withdrawals.fix, batch)
        entries = [waiting.entry for waiting in batch]
        once = CommitOnce(entries, before_commit=fix, answered=self._health.answered, known=self._known)
        back_off = BackOff()
        while True:
            try:
                self._file.check()
                began = time.monotonic()
                committed = once.attempt()
            except Withdrawn:
                self._health.answered()  # it took everything up to the COMMIT
                raise
            except Exception as raised:
                error = explained(raised)
                if not once.is_in_doubt:
                    self._withdrawals.release(batch)
                if not is_away(error):
                    # It did answer. This must be noticed here: requests are refused while it seems to be away.
                    self._health.answered()
                    raise
                if self._stopping and back_off.elapsed >= GIVE_UP_SECONDS:
                    raise
                self._wait_for_database(error, back_off)
            else:
                measures.COMMIT_DURATION.observe(time.monotonic() - began)
                self._health.answered()
                return committed

    def _wait_for_database(self, error: Exception, back_off: BackOff) -> None:
        measures.COMMIT_RETRIES.add()
        is_first, pause = back_off.is_fresh, back_off.next_pause()
        logger.log(
            logging.WARNING if is_first else logging.DEBUG, "A commit failed (%s); retrying in %.2f s.", error, pause
        )
        self._health.failed(error)
        _drop_connection()
        time.sleep(pause)

    def _answer(self, results: list[tuple[QueuedEntry, Result]], committed: Committed | None) -> None:
        self._call_loop(self._deliver, results, committed)

    def _call_loop(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            logger.info("The loop is closed; nobody learns what became of the last entries.")

    # --- back on the loop ---

    def _deliver(self, results: list[tuple[QueuedEntry, Result]], committed: Committed | None) -> None:
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


def _drop_connection() -> None:
    """Close a connection that may be broken; the next commit opens another."""
    try:
        connection.close()
    except Error as error:
        logger.info("Closing a broken connection failed: %s", error)
