"""Which run is next, over all processes and users."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from agents.budgets.shares import Sharer
from sessions_app import run_queue
from sessions_app.journal.entries.ownership import ClaimNext
from sessions_app.models import Run, Session
from sessions_app.run_queue import Place, QueuedRun, fair_order, places_of, startable_sessions
from tests.support import entries as e

pytestmark = e.database

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def queued(*names):
    """Runs that were queued in this order: `a1` is one of the user 1 for the agent `a`."""
    return [
        QueuedRun(MOMENT + timedelta(seconds=at), uuid.uuid4(), name[0], Sharer(int(name[1:])))
        for at, name in enumerate(names)
    ]


def order(runs, running=(), places=()):
    found = fair_order(runs, {Sharer(user): count for user, count in dict(running).items()}, dict(places))
    return [runs.index(run) for run in found]


@pytest.mark.parametrize(
    ("names", "running", "places", "expected"),
    [
        ((), {}, {}, []),
        (("a1", "a1", "a1"), {}, {}, [0, 1, 2]),
        (("a1", "a2", "a1", "a2"), {}, {}, [0, 1, 2, 3]),
        (("a1", "a1", "a1", "a2"), {}, {}, [0, 3, 1, 2]),
        (("a1", "a1", "a1", "a2"), {1: 2}, {}, [3, 0, 1, 2]),
        (("a1", "a2", "a2", "a2"), {1: 2}, {}, [1, 2, 0, 3]),
        (("a1", "a2", "a3"), {1: 1, 2: 1, 3: 1}, {}, [0, 1, 2]),
        (("a1", "b1", "a2"), {}, {"a": 0}, [1]),
        (("a1", "a1", "b1", "a2"), {}, {"a": 1}, [0, 2]),
        (("a1", "a1", "b1", "a2"), {1: 1}, {"a": 1}, [3, 2]),
    ],
)
def test_the_one_with_the_fewest_runs_is_next_and_then_the_oldest(names, running, places, expected):
    assert order(queued(*names), running, places) == expected


@pytest.fixture
def ann():
    return get_user_model().objects.create_user("ann").pk


@pytest.fixture
def bob():
    return get_user_model().objects.create_user("bob").pk


def test_what_may_begin_is_what_waits_behind_nothing_oldest_first(session):
    e.running(session)
    e.post(session)
    first, second = e.new_session(), e.new_session()
    e.post(first, lease=None), e.post(second, lease=None), e.post(first, lease=None)
    assert startable_sessions(10, ["tester"]) == [(first, "tester"), (second, "tester")]
    assert startable_sessions(1, ["tester"]) == [(first, "tester")]


def test_agents_that_are_not_here_keep_no_others_from_beginning():
    for _ in range(5):
        e.post(e.new_session(agent="elsewhere"), lease=None)
    here = e.new_session()
    e.post(here, lease=None)
    assert startable_sessions(1, ["tester"]) == [(here, "tester")]


def test_agents_with_few_places_or_none_keep_no_others_waiting():
    waiting = {agent: [e.new_session(agent=agent) for _ in range(3)] for agent in ("full", "rare", "tester")}
    for sessions in zip(*waiting.values(), strict=True):
        for session_id in sessions:
            e.post(session_id, lease=None)
    found = startable_sessions(3, list(waiting), {"full": 0, "rare": 1})
    assert found == [(waiting["rare"][0], "rare"), *((pk, "tester") for pk in waiting["tester"][:2])]


def waiting(count, **owner):
    """Sessions of one owner in each of which a message is queued, and one behind it."""
    sessions = [e.new_session(**owner) for _ in range(count)]
    for session_id in sessions:
        e.post(session_id, lease=None), e.post(session_id, lease=None)
    return sessions


def test_many_runs_of_one_user_or_address_hold_up_nobody_else(ann, bob):
    many, one = waiting(20, user_id=ann), waiting(1, user_id=bob)
    visitors = waiting(2, visitor="x" * 32), waiting(1, visitor="y" * 32)
    found = [pk for pk, _ in startable_sessions(6, ["tester"])]
    assert found == [many[0], one[0], visitors[0][0], visitors[1][0], many[1], visitors[0][1]]
    # What is running in any process counts, and what waits for a person does not.
    for session_id in (many[0], one[0]):
        ref = e.commit_one(ClaimNext(session_id=session_id, lease=e.LEASE))
    asked = e.call_of(waits=True)
    e.commit(e.reply(ref, asked), e.question(ref, asked))
    later = waiting(1, user_id=bob)
    found = [pk for pk, _ in startable_sessions(4, ["tester"])]
    assert found == [visitors[0][0], visitors[1][0], later[0], many[1]]
    assert [pk for pk, _ in startable_sessions(1, ["tester"], apart_from=found[:2])] == visitors[0][1:]


def test_places_are_those_in_which_runs_start(ann, bob, monkeypatch):
    monkeypatch.setattr(run_queue, "_IDS_PER_QUERY", 2)
    many, one = waiting(3, user_id=ann), waiting(1, user_id=bob)
    everybody = [*many, *one, uuid.uuid4()]

    def places(sessions, agents=("tester",)):
        return {pk: place.position for pk, place in places_of(sessions, agents).items()}

    assert places(everybody) == {many[0]: 1, one[0]: 2, many[1]: 3, many[2]: 4}
    first = Run.objects.filter(session_id=one[0]).earliest("queued_at").pk
    assert places_of(one, ["tester"]) == {one[0]: Place(first, 2)}
    e.commit(ClaimNext(session_id=many[0], lease=e.LEASE))
    assert places(everybody) == {one[0]: 1, many[1]: 2, many[2]: 3}
    assert places(many, ["other"]) == places([many[0]]) == {}


def test_the_queue_is_found_by_its_index(ann, bob):
    """However many runs have ended; what is queued is all that is read."""
    other = waiting(1, user_id=bob)
    long_ago = [Session(agent="tester", user_id=ann, created_at=MOMENT, active_at=MOMENT) for _ in range(5_000)]
    Session.objects.bulk_create(long_ago)
    Run.objects.bulk_create(
        Run(session=session, status=Run.Status.SUCCEEDED, queued_at=MOMENT, finished_at=MOMENT) for session in long_ago
    )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE sessions_app_run, sessions_app_session")
    plans = []

    def explained(execute, sql, params, many, context):
        # With its parameters and not with these put into it: SQLite uses a partial index by what they are.
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        execute(f"{explain} {sql}", params, many, context)
        plans.append("\n".join(str(row[-1]) for row in context["cursor"].fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explained):
        assert startable_sessions(1, ["tester"]) == [(other[0], "tester")]
        run_queue._running()
    assert len(plans) == 3
    for plan in plans:
        assert not re.search(r"(SCAN|Seq Scan on) (U0|sessions_app_\w+)(?! USING)", plan), plan
        assert re.search("run_queue|run_unfinished|one_active_run_per_session", plan), plan
