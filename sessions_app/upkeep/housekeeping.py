"""Upkeep of old conversations: streamed pieces are compacted, idle sessions are closed, and pruned on demand.

Files that were uploaded for a message that never came are taken back, and those that no session has are deleted.

Every process does the same work, no leader is elected. Each starts at a time of its own and takes what is due in random
order, in small batches. What two of them take at once is done twice, and the second time changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from agents.conf import Config
from agents.database.threads import in_thread
from sessions_app.files.file_store import sweep
from sessions_app.journal.entries.housekeeping import CloseIdleSession, CompactAnswer, PruneSession, RecountSession
from sessions_app.journal.entries.session_files import TakeBackForgottenFiles
from sessions_app.journal.entries.sessions import DeleteSession
from sessions_app.journal.entry import Entry
from sessions_app.journal.refusal import Refused
from sessions_app.journal.writer import Journal
from sessions_app.models import DeletedThread, Event, Run, Session, SessionFile
from sessions_app.models.deleted_thread import REMEMBERED

logger = logging.getLogger("myagent.housekeeping")

ROWS_PER_COMMIT = 500
"""Rows that one transaction deletes, so that no other entry waits long for it."""
ENTRIES_PER_COMMIT = 50
COUNTED_PER_COMMIT = 5
"""Sessions that one transaction counts: all of their rows are read."""
DUE_PER_ROUND = 10_000
PAUSE_SECONDS = 0.1
"""Between two batches of a server, so that other entries come between."""
ROUND_SECONDS = 60.0
CLOSING_ROUND_SECONDS = 3600.0
FORGOTTEN_AFTER = timedelta(days=1)
"""How long a file waits for a message that names it: a night with the page open is no reason to lose it."""


# --- what is due ---


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """A run that ended with a final answer whose streamed pieces may still be in the log; and the answer's number."""

    session_id: uuid.UUID
    run_id: uuid.UUID
    final_seq: int


def streamed_answers(before: datetime, limit: int | None = None) -> list[StreamedAnswer]:
    """Answers from before this moment that were not compacted, the oldest first."""
    due = Run.objects.filter(streamed_until__isnull=False, finished_at__lt=before).order_by("finished_at")
    rows = due.values_list("session_id", "id", "streamed_until")[:limit]
    return [StreamedAnswer(session_id, run_id, final_seq) for session_id, run_id, final_seq in rows if final_seq]


def compaction(answer: StreamedAnswer) -> list[CompactAnswer]:
    """The entries that remove the pieces of an answer, the newest pieces first."""
    events = Event.objects.filter(session_id=answer.session_id).order_by("-seq")
    newest = events.filter(seq__lt=answer.final_seq, name="agent.partial_answer").values_list("step_id", flat=True)
    step_id = newest.first() or ""
    spans: list[tuple[int, int]] = []
    below = answer.final_seq
    while step_id:
        # Uses the index of session and number, and stops at the first page without a piece.
        page = list(events.filter(seq__lt=below).values_list("seq", "step_id")[:ROWS_PER_COMMIT])
        pieces = [seq for seq, of_step in page if of_step == step_id]
        if not pieces:
            break
        spans.append((pieces[-1], pieces[0]))
        below = page[-1][0]
    return [
        CompactAnswer(
            session_id=answer.session_id,
            of_run=answer.run_id,
            final_seq=answer.final_seq,
            step_id=step_id,
            first=first,
            last=last,
            is_done=number == len(spans),
        )
        for number, (first, last) in enumerate(spans or [(0, 0)], start=1)
    ]


def idle_sessions(before: datetime, limit: int) -> list[uuid.UUID]:
    """Open sessions that were last active before this moment and have no unfinished run."""
    idle = _unused(before).filter(status=Session.Status.OPEN)
    return list(idle.order_by("active_at").values_list("id", flat=True)[:limit])


def uncounted_sessions(limit: int) -> list[uuid.UUID]:
    """Sessions from before it was counted what they take."""
    return list(Session.objects.filter(stored_bytes__isnull=True).values_list("id", flat=True)[:limit])


def sessions_with_forgotten_files(before: datetime, limit: int) -> list[uuid.UUID]:
    """Sessions with files that no message has named since before this moment."""
    forgotten = SessionFile.objects.filter(unreferenced_since__lt=before)
    return list(forgotten.order_by("session_id").values_list("session_id", flat=True).distinct()[:limit])


def forget_deleted(now: datetime) -> int:
    """Delete the names of conversations that were deleted long ago. Returns how many there were."""
    old = DeletedThread.objects.filter(deleted_at__lt=now - REMEMBERED)
    due = list(old.values_list("pk", flat=True)[:ROWS_PER_COMMIT])
    if not due:
        return 0
    with transaction.atomic():
        # Not those which another process is deleting, or which were deleted once more.
        free = old.filter(pk__in=due).select_for_update(skip_locked=True).values_list("pk", flat=True)
        return DeletedThread.objects.filter(pk__in=list(free)).delete()[0]


def prunable(
    before: datetime, *, closed_only: bool = False, agent: str | None = None, user_id: int | None = None
) -> list[tuple[uuid.UUID, int]]:
    """Id and length of the log of every session that was last active before this moment, the oldest first."""
    old = _unused(before)
    if user_id is not None:
        old = old.filter(user=user_id)
    if closed_only:
        old = old.filter(status=Session.Status.CLOSED)
    if agent is not None:
        old = old.filter(agent=agent)
    return list(old.order_by("active_at", "id").values_list("id", "last_seq"))


def _unused(before: datetime) -> QuerySet[Session]:
    busy = Run.objects.filter(session_id=OuterRef("pk")).unfinished()
    return Session.objects.filter(~Exists(busy), active_at__lt=before)


# --- in batches ---


def prunes(sessions: Iterable[tuple[uuid.UUID, int]], before: datetime) -> Iterator[list[DeleteSession]]:
    """Batches of entries that delete these sessions, unless they were used since `before`."""
    return _deletions(sessions, partial(PruneSession, before=before))


def deletions(sessions: Iterable[tuple[uuid.UUID, int]]) -> Iterator[list[DeleteSession]]:
    """Batches of entries that delete these sessions, whatever is under way in them."""
    return _deletions(sessions, DeleteSession)


def _deletions(
    sessions: Iterable[tuple[uuid.UUID, int]], entry: Callable[..., DeleteSession]
) -> Iterator[list[DeleteSession]]:
    """Batches, each of about as many rows as one transaction should delete."""
    batch: list[DeleteSession] = []
    rows = 0
    for session_id, length in sessions:
        if batch and (rows + length > ROWS_PER_COMMIT or len(batch) == ENTRIES_PER_COMMIT):
            yield batch
            batch, rows = [], 0
        batch.append(entry(session_id=session_id))
        rows += length
    if batch:
        yield batch


def compactions(answers: Iterable[StreamedAnswer]) -> Iterator[list[CompactAnswer]]:
    """Batches of entries that compact these answers, likewise. Each batch is planned when it is consumed."""
    batch: list[CompactAnswer] = []
    for answer in answers:
        for entry in compaction(answer):
            batch.append(entry)
            if len(batch) == ENTRIES_PER_COMMIT or sum(item.last - item.first for item in batch) > ROWS_PER_COMMIT:
                yield batch
                batch = []
    if batch:
        yield batch


def closings(sessions: Sequence[uuid.UUID], before: datetime) -> Iterator[list[CloseIdleSession]]:
    """Batches of entries that close these sessions."""
    for start in range(0, len(sessions), ENTRIES_PER_COMMIT):
        ids = sessions[start : start + ENTRIES_PER_COMMIT]
        yield [CloseIdleSession(session_id=session_id, before=before) for session_id in ids]


def recounts(sessions: Sequence[uuid.UUID], *, only_new: bool = False) -> Iterator[list[RecountSession]]:
    """Batches of entries that count what these sessions take."""
    for start in range(0, len(sessions), COUNTED_PER_COMMIT):
        ids = sessions[start : start + COUNTED_PER_COMMIT]
        yield [RecountSession(session_id=session_id, only_new=only_new) for session_id in ids]


def returns(sessions: Sequence[uuid.UUID], before: datetime) -> Iterator[list[TakeBackForgottenFiles]]:
    """Batches of entries that take the forgotten files from these sessions."""
    for start in range(0, len(sessions), ENTRIES_PER_COMMIT):
        ids = sessions[start : start + ENTRIES_PER_COMMIT]
        yield [TakeBackForgottenFiles(session_id=session_id, before=before) for session_id in ids]


class Housekeeper:
    """The part of the upkeep that a server does by itself. Lives on the event loop."""

    def __init__(self, journal: Journal, config: Config) -> None:
        self._journal = journal
        self._compact_seconds = config.compact_seconds
        self._idle_close_days = config.idle_close_days
        self._close_at = 0.0
        self.interval = min(ROUND_SECONDS, config.compact_seconds or ROUND_SECONDS) * random.uniform(0.5, 1.0)
        """Seconds between two rounds, different in each process."""

    async def tidy(self) -> None:
        """Do what is due."""
        if self._compact_seconds is not None:
            before = timezone.now() - timedelta(seconds=self._compact_seconds)
            answers = await in_thread(streamed_answers, before, DUE_PER_ROUND)
            random.shuffle(answers)
            await self._commit(compactions(answers))
        if uncounted := await in_thread(uncounted_sessions, DUE_PER_ROUND):
            random.shuffle(uncounted)
            await self._commit(recounts(uncounted, only_new=True))
        await in_thread(forget_deleted, timezone.now())
        now = asyncio.get_running_loop().time()
        if self._idle_close_days is not None and now >= self._close_at:
            before = timezone.now() - timedelta(days=self._idle_close_days)
            sessions = await in_thread(idle_sessions, before, DUE_PER_ROUND)
            if len(sessions) < DUE_PER_ROUND:
                self._close_at = now + CLOSING_ROUND_SECONDS  # finding idle sessions reads all of them
            random.shuffle(sessions)
            await self._commit(closings(sessions, before))

    async def delete_files(self) -> None:
        """Delete the files that no session has, or needs. By itself: the storage may be elsewhere, and away."""
        before = timezone.now() - FORGOTTEN_AFTER
        if sessions := await in_thread(sessions_with_forgotten_files, before, DUE_PER_ROUND):
            random.shuffle(sessions)
            await self._commit(returns(sessions, before))
        if count := await in_thread(sweep, timezone.now()):
            logger.info("Deleted files that no session has: %d.", count)

    async def _commit(self, batches: Iterator[Sequence[Entry]]) -> None:
        done = 0
        while (batch := await in_thread(next, batches, None)) is not None:
            outcomes = [await self._journal.submit(entry) for entry in batch]
            for outcome in outcomes:
                try:
                    await outcome
                    done += 1
                except Refused as refusal:
                    logger.debug("Left unchanged: %s", refusal)
            await asyncio.sleep(PAUSE_SECONDS)
        if done:
            logger.info("Tidied up: %d entries.", done)
