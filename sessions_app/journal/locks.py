"""The rows that one transaction of the journal has locked."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import chain
from typing import Any

from django.db import connection
from django.utils import timezone

from agents.budgets.shares import Sharer
from agents.database.named_locks import lock_names
from agents.models import HostedAgent, Pace
from myagent.protocol.error_codes import ErrorCode
from sessions_app.journal.bulk_sql import lock_rows
from sessions_app.journal.known_rows import KnownRows
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.journal.refusal import STALE_RUN, Refused
from sessions_app.models import Message, Run, Session, StoredFile

_SESSION_COLUMNS = tuple(item.name for item in fields(LockedSession))
_RUN_COLUMNS = tuple(item.name for item in fields(LockedRun))


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the entries of one transaction need: rows to be locked, and ids of clients to be looked up."""

    sessions: Collection[uuid.UUID] = ()
    claimed_sessions: Collection[uuid.UUID] = ()
    """Sessions that are skipped where another transaction has locked them."""
    runs: Collection[uuid.UUID] = ()
    unfinished_of: Collection[uuid.UUID] = ()
    """The sessions whose unfinished runs are locked, too."""
    paced_users: Collection[int] = ()
    limited_agents: Collection[str] = ()
    counted_sharers: Collection[Sharer] = ()
    """Those whose sessions are counted, by one process at a time."""
    counted_owners: Collection[uuid.UUID] = ()
    """The sessions whose owners are counted likewise."""
    losing_files: Collection[uuid.UUID] = ()
    """The sessions whose files are locked."""
    client_ids: Collection[tuple[uuid.UUID, str]] = ()
    """By session: ids of messages, given by clients."""

    def without_skipping(self) -> Needs:
        """The same, waiting for every session."""
        return replace(self, sessions={*self.sessions, *self.claimed_sessions}, claimed_sessions=())


class Locks:
    """The locked rows of one transaction, kept in step with what it writes.

    To construct it is to lock: entries have no other way, and so no other order, to lock the rows that they need.
    """

    def __init__(self, needs: Needs, known: KnownRows | None = None) -> None:
        self._known = KnownRows() if known is None else known
        self._known.begin()
        self._whole: set[uuid.UUID] = set(needs.unfinished_of)
        self._is_exact = True
        self.sessions: dict[uuid.UUID, LockedSession] = {}
        self.runs: dict[uuid.UUID, LockedRun] = {}
        self.client_ids: dict[tuple[uuid.UUID, str], uuid.UUID] = {}
        """The run of each message that is stored already, of those that were to be looked up."""
        self.paces: dict[int, datetime] = {}
        self._running: Counter[str] = Counter()
        # All processes lock in this order of tables, and in each table in the order of its keys: so none waits for
        # one that waits for it. `Usage` comes last of all, when the batch is written.
        self._lock_sessions(needs.sessions)
        # Out of the order, which is safe: who does not wait for a lock is in nobody's circle.
        self._lock_sessions(needs.claimed_sessions, skip_locked=True)
        skipped = set(needs.claimed_sessions) - self.sessions.keys()
        self._lock_runs(needs.runs, set(needs.unfinished_of) - skipped)
        self._lock_paces(needs.paced_users)
        self._lock_agents(needs.limited_agents)
        owners = {session.sharer for pk in needs.counted_owners if (session := self.sessions.get(pk)) is not None}
        sharers = {*needs.counted_sharers, *owners}
        lock_names(f"myagent.share:{sharer.user_id}:{sharer.visitor}" for sharer in sharers)
        _lock_files(needs.losing_files)
        self._find_client_ids(needs.client_ids)

    def _lock_sessions(self, ids: Collection[uuid.UUID], *, skip_locked: bool = False) -> None:
        unknown = []
        for session_id in ids:
            if (session := self._known.session(session_id)) is None:
                unknown.append(session_id)
            else:
                self.sessions[session_id] = session
        for row in lock_rows(Session, _SESSION_COLUMNS, {"id": unknown}, skip_locked=skip_locked):
            self.sessions[row[0]] = LockedSession(*row)

    def _lock_runs(self, ids: Collection[uuid.UUID], unfinished_of: Collection[uuid.UUID]) -> None:
        found = {run_id: self._known.run(run_id) for run_id in ids}
        unfinished = {session_id: self._known.unfinished_of(session_id) for session_id in unfinished_of}
        for run in (*found.values(), *chain.from_iterable(filter(None, unfinished.values()))):
            if run is not None:
                self.runs[run.id] = run
        by_id = {"id": [run_id for run_id, run in found.items() if run is None]}
        by_session = {"session_id": [pk for pk, runs in unfinished.items() if runs is None], "status": Run.UNFINISHED}
        for row in (*lock_rows(Run, _RUN_COLUMNS, by_id), *lock_rows(Run, _RUN_COLUMNS, by_session)):
            # Not twice: what is known of a run is changed in one place.
            self.runs.setdefault(row[0], LockedRun(*row))

    def _lock_paces(self, user_ids: Collection[int]) -> None:
        if not user_ids:
            return
        ids = sorted(user_ids)
        # Not the time of the batch, which is taken when all is locked.
        new = [Pace(user_id=user_id, due_at=timezone.now()) for user_id in ids]
        Pace.objects.bulk_create(new, ignore_conflicts=True)
        locked = Pace.objects.select_for_update().filter(pk__in=ids).order_by("pk")
        self.paces.update(locked.values_list("pk", "due_at"))

    def _lock_agents(self, names: Collection[str]) -> None:
        """No two processes count the runs of these agents at the same time."""
        if not names:
            return
        locked = HostedAgent.objects.select_for_update(no_key=True).filter(name__in=names).order_by("name")
        self._running = Run.objects.going_of(list(locked.values_list("name", flat=True)))

    def _find_client_ids(self, pairs: Collection[tuple[uuid.UUID, str]]) -> None:
        if not pairs:
            return
        known = Message.objects.filter(
            session_id__in={session_id for session_id, _ in pairs}, client_id__in={name for _, name in pairs}
        )
        for session_id, client_id, run_id in known.values_list("session_id", "client_id", "run_id"):
            self.client_ids[session_id, client_id or ""] = run_id

    # --- what entries ask ---

    def session(self, session_id: uuid.UUID) -> LockedSession:
        """The locked session. Raises `Refused` when there is none."""
        try:
            return self.sessions[session_id]
        except KeyError:
            raise Refused(ErrorCode.SESSION_NOT_FOUND) from None

    def owned_run(self, run_id: uuid.UUID, epoch: int) -> LockedRun:
        """The run, if the owner with this `epoch` may still write for it. Raises `Refused` otherwise."""
        run = self.runs.get(run_id)
        if run is None or not run.is_active or run.epoch != epoch:
            raise Refused(STALE_RUN)
        return run

    def unfinished(self, session_id: uuid.UUID) -> list[LockedRun]:
        """The runs of a session that have not ended: the active one first, then in the order in which they queue."""
        runs = [run for run in self.runs.values() if run.session_id == session_id and run.status in Run.UNFINISHED]
        return sorted(runs, key=lambda run: (not run.is_active, run.queued_at, run.id))

    def has_place(self, agent: str, max_runs: int | None) -> bool:
        """Whether one more run of this agent may be running, if at most `max_runs` may; then its row must be locked."""
        return max_runs is None or self._running[agent] < max_runs

    # --- what entries change ---

    def add_session(self, session: LockedSession) -> None:
        """A session that this transaction inserts: nobody else sees it, so it counts as locked."""
        self.sessions[session.id] = session

    def add_run(self, run: LockedRun) -> None:
        """A run that this transaction inserts."""
        self.runs[run.id] = run

    def change_run(self, run: LockedRun, columns: dict[str, Any]) -> None:
        """Give a locked run the values that are about to be written."""
        if "status" in columns and (session := self.sessions.get(run.session_id)) is not None:
            running = Run.Status.RUNNING
            self._running[session.agent] += (columns["status"] == running) - (run.status == running)
        for name, value in columns.items():
            if name in LockedRun.__slots__:
                setattr(run, name, value)

    def remove_run(self, run: LockedRun) -> None:
        """A run that this transaction deletes."""
        self.distrust()
        del self.runs[run.id]

    def distrust(self) -> None:
        """Locked columns were written past this object, so that nothing is known of these rows after the commit."""
        self._is_exact = False

    def hand_back(self) -> None:
        """All is written: once it is committed, the next transaction need not read these rows."""
        if self._is_exact:
            self._known.keep(self.sessions.values(), self.runs.values(), self._whole)

    def forget(self, session_id: uuid.UUID) -> None:
        """The session is deleted: later entries do not find it or its runs."""
        self.distrust()
        self.sessions.pop(session_id, None)
        self.runs = {run.id: run for run in self.runs.values() if run.session_id != session_id}


def _lock_files(session_ids: Collection[uuid.UUID]) -> None:
    """Of all these sessions at once: forks have the same files, and another process may delete them in another order.

    So of two sessions that lose a file at the same time the second one sees, too, that it was the last.
    """
    if not session_ids or not connection.features.has_select_for_update:
        return
    shared = StoredFile.objects.select_for_update(no_key=True, of=("self",))
    locked = shared.filter(sessions__session_id__in=session_ids).order_by("pk")
    for _ in locked.values_list("pk", flat=True).iterator():
        pass
