"""What one transaction of the journal has locked, decided and is about to write."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db import connection, models
from django.utils import timezone

from agents.models import HostedAgent
from agents.models.budgets import Pace, Spender, Usage
from myagent.llm import Usage as Tokens
from myagent.protocol.codec import encode, timestamp
from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.server_base import ServerEvent
from sessions_app.journal.bulk_sql import Columns, insert_rows, lock_rows, update_rows
from sessions_app.journal.run_log import RunEnd
from sessions_app.models import Confirmation, Event, Message, Run, Session, Span, Summary, ToolCall

# Sessions before runs before what hangs on them: foreign keys are checked at once on some databases.
_WRITE_ORDER: tuple[type[models.Model], ...] = (
    Session,
    Run,
    Message,
    Summary,
    ToolCall,
    Confirmation,
    Span,
    Event,
    LogEntry,
)


class Refused(Exception):
    """An entry's precondition does not hold; the entry is dropped, alone. `code` says which, for programs."""

    def __init__(self, code: str, **data: Any) -> None:
        self.code = code
        self.data = data
        super().__init__(code)


STALE_RUN = "stale_run"


@dataclass(slots=True)
class LockedSession:
    """The columns of a locked session that entries look at."""

    id: uuid.UUID
    agent: str
    user_id: int | None
    title: str
    status: str
    last_seq: int
    last_position: int


@dataclass(slots=True)
class LockedRun:
    """The columns of a locked run that entries look at."""

    id: uuid.UUID
    session_id: uuid.UUID
    status: str
    owner: str
    epoch: int
    attempts: int
    queued_at: datetime
    steps: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    llm_calls: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def is_active(self) -> bool:
        return self.status in Run.ACTIVE


def usage_of(run: Run | LockedRun) -> Tokens:
    """What a run has used so far, as its row tells it."""
    return Tokens(**{item.name: getattr(run, item.name) for item in fields(Tokens)})


_SESSION_COLUMNS = tuple(item.name for item in fields(LockedSession))
_RUN_COLUMNS = tuple(item.name for item in fields(LockedRun))


@dataclass(frozen=True, slots=True)
class Logged:
    """One event as it was logged; the connection `origin` knows it already, because it sent it."""

    seq: int
    frame: str
    origin: str | None


@dataclass(slots=True)
class Growth:
    """What one commit added to the log of a session that ended at `prev_seq`."""

    session_id: uuid.UUID
    prev_seq: int
    events: list[Logged] = field(default_factory=list)


class Batch:
    """Collects the writes of many entries, so that each table is written once."""

    def __init__(self) -> None:
        self.growths: dict[uuid.UUID, Growth] = {}
        self.deleted: list[uuid.UUID] = []
        self.ended: list[RunEnd] = []
        """The runs that others than their owners ended, who log the ends of their own."""
        self.sessions: dict[uuid.UUID, LockedSession] = {}
        self.runs: dict[uuid.UUID, LockedRun] = {}
        self.client_ids: dict[tuple[uuid.UUID, str], uuid.UUID] = {}
        self.paces: dict[int, datetime] = {}
        self._going: Counter[str] = Counter()
        self._taken: dict[uuid.UUID, LockedRun] = {}
        self._spent: dict[Spender, Tokens] = defaultdict(Tokens)
        self._inserts: dict[type[models.Model], dict[Any, Columns]] = defaultdict(dict)
        self._changes: dict[type[models.Model], dict[Any, Columns]] = defaultdict(dict)

    @cached_property
    def now(self) -> datetime:
        """The time of all that is written. Entries ask for it first, and so behind the locks: who waited for somebody
        writes later than that one.
        """
        return timezone.now()

    @cached_property
    def _stamp(self) -> str:
        return timestamp(self.now)

    @cached_property
    def database_now(self) -> datetime:
        """The time by the database's clock, behind the locks as well."""
        if connection.vendor == "sqlite":
            return self.now  # the same machine's clock
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")  # not CURRENT_TIMESTAMP, which is the transaction's beginning
            found: datetime = cursor.fetchone()[0]
            return found

    # --- locks, always sessions before runs and each in the order of their ids ---

    def lock_sessions(self, ids: Iterable[uuid.UUID]) -> None:
        for row in lock_rows(Session, _SESSION_COLUMNS, {"id": set(ids)}):
            self.sessions[row[0]] = LockedSession(*row)

    def lock_runs(self, ids: Iterable[uuid.UUID], unfinished_of: Iterable[uuid.UUID]) -> None:
        by_id = lock_rows(Run, _RUN_COLUMNS, {"id": set(ids)})
        unfinished = {"session_id": set(unfinished_of), "status": Run.UNFINISHED}
        for row in (*by_id, *lock_rows(Run, _RUN_COLUMNS, unfinished)):
            self.runs[row[0]] = LockedRun(*row)

    def find_client_ids(self, pairs: Sequence[tuple[uuid.UUID, str]]) -> None:
        known = Message.objects.filter(
            session_id__in={session_id for session_id, _ in pairs}, client_id__in={name for _, name in pairs}
        )
        for session_id, client_id, run_id in known.values_list("session_id", "client_id", "run_id"):
            self.client_ids[session_id, client_id or ""] = run_id

    def lock_agents(self, names: Iterable[str]) -> None:
        """Behind all others, and in the order of their names, so that no two processes count these agents' runs."""
        locked = HostedAgent.objects.select_for_update(no_key=True).filter(name__in=set(names)).order_by("name")
        self._going = Run.objects.going_of(list(locked.values_list("name", flat=True)))

    def lock_paces(self, user_ids: Iterable[int]) -> None:
        """Behind sessions and runs, and in the order of their ids, too."""
        ids = sorted(user_ids)
        # Not the time of the batch: there are rows to wait for.
        new = [Pace(user_id=user_id, due_at=timezone.now()) for user_id in ids]
        Pace.objects.bulk_create(new, ignore_conflicts=True)
        locked = Pace.objects.select_for_update().filter(pk__in=ids).order_by("pk")
        self.paces.update(locked.values_list("pk", "due_at"))

    # --- what entries ask ---

    def session(self, session_id: uuid.UUID) -> LockedSession:
        """The locked session. Raises `Refused` when there is none."""
        try:
            return self.sessions[session_id]
        except KeyError:
            raise Refused(ErrorCode.SESSION_NOT_FOUND) from None

    def owned_run(self, run_id: uuid.UUID, epoch: int) -> LockedRun:
        """The run, if whoever holds `epoch` may still write for it. Raises `Refused` otherwise."""
        run = self.runs.get(run_id)
        if run is None or not run.is_active or run.epoch != epoch:
            raise Refused(STALE_RUN)
        return run

    def unfinished(self, session_id: uuid.UUID) -> list[LockedRun]:
        """The runs of a session that have not ended, the one that is going first, then as they were asked for."""
        runs = [run for run in self.runs.values() if run.session_id == session_id and run.status in Run.UNFINISHED]
        return sorted(runs, key=lambda run: (not run.is_active, run.queued_at, run.id))

    def has_place(self, agent: str, max_runs: int | None) -> bool:
        """Whether one more run of this agent may go on, of which so many may; then the agent has to be locked."""
        return max_runs is None or self._going[agent] < max_runs

    # --- what entries write ---

    def insert(self, model: type[models.Model], **columns: Any) -> None:
        """Add a row; columns that are left out have the model's defaults."""
        pk = columns.get(model._meta.pk.attname) if model._meta.pk else None
        self._inserts[model][pk if pk is not None else object()] = columns

    def change(self, model: type[models.Model], pk: Any, **columns: Any) -> None:
        """Set columns of one row; later changes of the same row win."""
        if (fresh := self._inserts[model].get(pk)) is not None:
            fresh.update(columns)
            return
        self._changes[model].setdefault(pk, {}).update(columns)

    def change_run(self, run: LockedRun, **columns: Any) -> None:
        """Set columns of a locked run, here and in the database."""
        if "epoch" in columns:
            self._taken[run.id] = run
        if "status" in columns:
            self._count(run, columns["status"])
        for name, value in columns.items():
            if name in LockedRun.__slots__:
                setattr(run, name, value)
        self.change(Run, run.id, **columns)

    def _count(self, run: LockedRun, status: str) -> None:
        going = Run.Status.RUNNING
        if (session := self.sessions.get(run.session_id)) is not None:
            self._going[session.agent] += (status == going) - (run.status == going)

    def charge(self, session: LockedSession, run: LockedRun, usage: Tokens) -> None:
        """Note what a run has used so far. What is new of it, and nothing twice, counts as use of this day."""
        self._spent[session.user_id, session.agent] += Tokens(
            usage.input_tokens - run.input_tokens,
            usage.output_tokens - run.output_tokens,
            usage.llm_calls - run.llm_calls,
        )
        self.change_run(run, **asdict(usage))

    def touch(self, session: LockedSession) -> None:
        """Something happened that people would call activity; it orders their lists, so not every delta counts."""
        self.change(Session, session.id, active_at=self.now)

    def take_positions(self, session: LockedSession, count: int = 1) -> int:
        """Reserve `count` places in the history; returns the first."""
        first = session.last_position + 1
        session.last_position += count
        self.change(Session, session.id, last_position=session.last_position)
        return first

    def log(self, session: LockedSession, event: ServerEvent, *, origin: str | None = None) -> None:
        """Give `event` the next number of its session's log and encode it, once for everybody."""
        growth = self.growths.get(session.id)
        if growth is None:
            growth = self.growths[session.id] = Growth(session.id, session.last_seq)
        session.last_seq += 1
        frame = encode(event, session_id=str(session.id), seq=session.last_seq, at=self._stamp)
        growth.events.append(Logged(session.last_seq, frame, origin))
        self.insert(
            Event,
            session_id=session.id,
            seq=session.last_seq,
            name=event.event,
            step_id=event.step_id or "",
            frame=frame,
            created_at=self.now,
        )
        self.change(Session, session.id, last_seq=session.last_seq)

    def flush(self) -> None:
        """Write what was collected. Entries that look into the database call it first, to see their elders' work."""
        # A session has at most one active run at any moment, so ends come before beginnings.
        if ended := {pk: columns for pk, columns in self._changes[Run].items() if "finished_at" in columns}:
            update_rows(Run, ended)
            self._changes[Run] = {pk: columns for pk, columns in self._changes[Run].items() if pk not in ended}
        for model in _WRITE_ORDER:
            if rows := self._inserts.pop(model, None):
                insert_rows(model, rows.values())
        for model in _WRITE_ORDER:
            if changes := self._changes.pop(model, None):
                update_rows(model, changes)

    def close(self) -> None:
        """Write all that is left; last of all what was used, whose rows others wait for until the commit."""
        self.flush()
        if spent := {spender: tokens for spender, tokens in self._spent.items() if tokens != Tokens()}:
            Usage.objects.add(timezone.localdate(self.now), spent)

    def forget(self, session_id: uuid.UUID) -> None:
        """The session was deleted: nothing of it is announced, and later entries do not find it."""
        self.sessions.pop(session_id, None)
        self.growths.pop(session_id, None)
        self._taken = {run.id: run for run in self._taken.values() if run.session_id != session_id}
        self.runs = {run.id: run for run in self.runs.values() if run.session_id != session_id}
        self.deleted.append(session_id)

    def is_stored(self) -> bool:
        """Whether this batch is in the database although its commit seemed to fail: its events tell, or its runs.

        Of a session that somebody has deleted since, nothing tells any more. All is stored or nothing, so others do.
        """
        kept = Session.objects.filter(pk__in=list(self.growths)).values_list("pk", flat=True)
        newest = [(session_id, self.growths[session_id].events[-1]) for session_id in kept]
        events = [Event.objects.filter(session_id=pk, seq=logged.seq, frame=logged.frame) for pk, logged in newest]
        # An epoch is used once, so this tells a claim, which logs nothing; its owner may have let go of the run since.
        runs = [
            Run.objects.filter(pk=run.id, owner__in=(run.owner, ""), epoch=run.epoch) for run in self._taken.values()
        ]
        if signs := events or runs:
            return all(rows.exists() for rows in signs)
        return bool(self.deleted) and not Session.objects.filter(pk__in=self.deleted).exists()
