"""Which of the queued runs are next, over all processes. Blocking: called in a database thread."""

from __future__ import annotations

import heapq
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from django.db.models import Count, F, Min, Value, Window
from django.db.models.functions import Coalesce, RowNumber

from agents.budgets.shares import Sharer
from sessions_app.models import Run

_LONGEST_SHOWN = 5_000
"""Runs whose places are looked at: nobody is told a place behind them."""
# SQLite takes 32,766 parameters in a statement, PostgreSQL plans long lists slowly.
_IDS_PER_QUERY = 500
_NO_PLACES: Mapping[str, int] = {}

Startable = tuple[uuid.UUID, str]


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A run that waits for a place: nothing in its session comes before it."""

    queued_at: datetime
    session_id: uuid.UUID
    agent: str
    sharer: Sharer


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands in the queue; 1 is next."""

    run_id: uuid.UUID
    position: int


def startable_sessions(
    limit: int,
    agents: Collection[str],
    places: Mapping[str, int] = _NO_PLACES,
    apart_from: Collection[uuid.UUID] = (),
) -> list[Startable]:
    """`(session_id, agent)` of these agents' sessions whose runs are the next to start, in that order.

    Of each agent in `places` at most so many, so that others are not kept waiting.
    """
    open_to = [agent for agent in agents if places.get(agent, 1) > 0]
    queued = list(_queued(open_to, limit, apart_from))
    # What one sharer has alone is in order already.
    running = _running() if len({run.sharer for run in queued}) > 1 else Counter[Sharer]()
    return [(run.session_id, run.agent) for run in islice(fair_order(queued, running, places), limit)]


def places_of(sessions: Collection[uuid.UUID], agents: Collection[str]) -> dict[uuid.UUID, Place]:
    """Of these sessions those whose next run waits for a place, with that of these agents' runs.

    Limits of single agents are left out of account, so that a run may start earlier than its place says.
    """
    queued = list(_queued(agents, _LONGEST_SHOWN))
    wanted = set(sessions)
    if not any(run.session_id in wanted for run in queued):
        return {}
    positions = {run.session_id: n for n, run in enumerate(fair_order(queued, _running()), 1)}
    found = [session_id for session_id in positions if session_id in wanted]
    places: dict[uuid.UUID, Place] = {}
    for start in range(0, len(found), _IDS_PER_QUERY):
        rows = Run.objects.filter(status=Run.Status.QUEUED, session_id__in=found[start : start + _IDS_PER_QUERY])
        for session_id, run_id in rows.order_by("queued_at").values_list("session_id", "id"):
            places.setdefault(session_id, Place(run_id, positions[session_id]))
    return places


def fair_order(
    queued: Iterable[QueuedRun], running: Mapping[Sharer, int], places: Mapping[str, int] = _NO_PLACES
) -> Iterator[QueuedRun]:
    """`queued`, each sharer's oldest first, in the order in which they start: always one of those with the fewest
    runs running comes next, and of these the oldest.

    `running` is how many are; of each agent in `places` at most so many start. Pure.
    """
    left = dict(places)
    lines: defaultdict[Sharer, deque[QueuedRun]] = defaultdict(deque)
    for run in queued:
        lines[run.sharer].append(run)
    heap = [_Turn(running.get(sharer, 0), line[0].queued_at, line) for sharer, line in lines.items()]
    heapq.heapify(heap)
    while heap:
        turn = heapq.heappop(heap)
        run, started = turn.line.popleft(), turn.running
        if left.get(run.agent, 1) > 0:
            if run.agent in left:
                left[run.agent] -= 1
            yield run
            started += 1
        if turn.line:
            heapq.heappush(heap, _Turn(started, turn.line[0].queued_at, turn.line))


@dataclass(order=True, slots=True)
class _Turn:
    """When it is a sharer's turn: `running` runs of it are running, or about to."""

    running: int
    queued_at: datetime
    line: deque[QueuedRun] = field(compare=False)


def _queued(agents: Collection[str], limit: int, apart_from: Collection[uuid.UUID] = ()) -> Iterator[QueuedRun]:
    """The queued runs of these agents that nothing in their session comes before, the oldest first.

    At most `limit` of each sharer and agent, and without those of deactivated users.
    """
    queued = Run.objects.filter(status=Run.Status.QUEUED, finished_at=None)
    # Asked every second, and mostly nothing waits: Django takes 3 ms to write the statement below.
    if not agents or not queued.exists():
        return
    # As an expression: with the column in the condition, SQLite would first read all sessions of these agents.
    rows = queued.annotate(agent=Coalesce("session__agent", Value(""))).filter(agent__in=agents)
    rows = rows.exclude(session_id__in=Run.objects.active().values("session_id"))
    rows = rows.exclude(session__user__is_active=False).exclude(session_id__in=apart_from)
    columns = ("session_id", "agent", "session__user", "session__visitor")
    firsts = rows.values(*columns).annotate(first=Min("queued_at"))
    whose = [F("session__user"), F("session__visitor"), F("agent")]
    firsts = firsts.annotate(nth=Window(RowNumber(), partition_by=whose, order_by=F("first").asc()))
    ordered = firsts.filter(nth__lte=limit).order_by("first").values_list("first", *columns)
    for queued_at, session_id, agent, user_id, visitor in ordered[:_LONGEST_SHOWN]:
        yield QueuedRun(queued_at, session_id, agent, Sharer(user_id, visitor))


def _running() -> Counter[Sharer]:
    """How many runs of each sharer are running in all processes; those that wait for a person do not count."""
    going = Run.objects.filter(status=Run.Status.RUNNING, finished_at=None)
    rows = going.values_list("session__user", "session__visitor").annotate(Count("pk"))
    return Counter({Sharer(user_id, visitor): count for user_id, visitor, count in rows})
