"""Claims and leases; runs whose owner is gone are in `test_entries_recovery`."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import HostedAgent
from sessions_app.journal.batch import Batch
from sessions_app.journal.commit import CommitOnce, Committed
from sessions_app.journal.entries.ownership import ClaimNext, Lease, ReleaseRuns, RenewLeases
from sessions_app.journal.entries.sessions import AnswerConfirmation
from sessions_app.journal.entry import needs_of
from sessions_app.models import Event, Run, Session
from tests.support import entries as e

pytestmark = e.database

OTHER = Lease("another-owner", seconds=60)


def claim(session, lease=e.LEASE):
    return ClaimNext(session_id=session, lease=lease)


def test_a_claim_takes_what_waited_longest_and_gives_its_message_a_place(session):
    first, second = e.post(session, "one", lease=None), e.post(session, "two", lease=None)
    ref = e.commit_one(claim(session))
    assert (ref.run_id, ref.epoch) == (first.run_id, 1)
    assert e.history(session) == [("user", "one")]
    run = e.run_of(first)
    assert (run.status, run.owner, run.attempts) == ("running", e.LEASE.owner, 1)
    assert run.started_at is not None
    assert e.run_of(second).status == "queued"


def test_of_two_claims_in_one_batch_one_gets_the_run(session):
    e.post(session, lease=None)
    first, second = e.commit(claim(session), claim(session, OTHER))
    assert first is not None
    assert second is None
    assert Run.objects.get().owner == e.LEASE.owner


def test_there_is_nothing_to_claim_while_a_run_goes_on(session):
    ref = e.running(session)
    e.post(session)
    assert e.commit_one(claim(session)) is None
    assert e.refusals(e.commit(e.answer(ref), claim(session))) == [None, None]
    assert e.statuses(session) == ["succeeded", "running"]


def test_there_is_nothing_to_claim_in_an_empty_session(session):
    assert e.commit_one(claim(session)) is None


def test_a_message_and_its_claim_fit_into_one_batch(session):
    posted, ref = e.commit(e.message(session, lease=None), claim(session))
    assert ref.run_id == posted.run_id
    assert e.history(session) == [("user", "hi")]


def test_the_database_itself_refuses_a_second_active_run(session):
    e.running(session)
    with pytest.raises(IntegrityError):
        Run.objects.create(session_id=session, status="waiting", queued_at=timezone.now())


# --- agents that are limited ------------------------------------------------------------------------------------------

ONE = Lease(e.LEASE.owner, seconds=60, agent="limited", max_runs=1)


@pytest.fixture
def limited():
    """Sessions of an agent of which one run may go on."""
    HostedAgent.objects.create(name="limited")
    return [e.new_session(agent="limited") for _ in range(3)]


def test_where_an_agent_has_no_place_a_message_waits(limited):
    first, second, third = limited
    ref = e.running(first, lease=ONE)
    assert e.post(second, lease=ONE).begun is None
    assert e.commit_one(claim(second, ONE)) is None
    assert (e.statuses(second), e.history(second)) == (["queued"], [])
    assert e.commit_one(claim(third, ONE)) is None  # nothing there: no place is taken
    assert e.running(e.new_session(), lease=e.LEASE) is not None  # other agents have theirs
    e.commit(e.answer(ref))
    assert e.commit_one(claim(second, ONE)).run_id == Run.objects.get(session=second).pk
    assert e.history(second) == [("user", "hi")]


def test_what_one_batch_begins_and_ends_counts(limited):
    first, second, third = limited
    outcomes = e.commit(e.message(first, lease=ONE), e.message(second, lease=ONE))
    assert [posted.begun is not None for posted in outcomes] == [True, False]
    ended, claimed, refused = e.commit(e.answer(outcomes[0].begun), claim(second, ONE), e.message(third, lease=ONE))
    assert (claimed is not None, refused.begun) == (True, None)
    assert Run.objects.going_of(["limited"]) == {"limited": 1}


def test_a_run_that_waits_for_a_person_takes_no_place_and_goes_on_at_once(limited):
    first, second, _ = limited
    ref = e.running(first, lease=ONE)
    call = e.call_of()
    e.commit(e.reply(ref, call))
    asked = e.question(ref, call)
    e.commit(asked)
    assert e.running(second, lease=ONE) is not None
    yes = AnswerConfirmation(session_id=first, step_id=asked.step_id, answer={"confirmed": True}, by="", origin="c")
    e.commit(yes)
    assert Run.objects.going_of(["limited"]) == {"limited": 2}


def test_a_cancelled_run_makes_room_for_the_message_that_interrupts_it(limited):
    session = limited[0]
    e.running(session, lease=ONE)
    assert e.post(session, lease=ONE, when_busy="interrupt").begun is not None
    assert e.statuses(session) == ["cancelled", "running"]


@pytest.mark.django_db(transaction=True)
def test_of_two_processes_one_gets_the_place(limited, monkeypatch):
    """The first one is held up between its count and its commit; the second must not count meanwhile."""
    counted, over = threading.Event(), threading.Event()
    close = Batch.close

    def close_late(batch):
        if not counted.is_set():
            counted.set()
            over.wait(0.5)  # never set in here, unless the second one did not wait
        close(batch)

    def begin(session):
        try:
            return e.commit_one(e.message(session, lease=ONE)).begun is not None
        finally:
            connection.close()

    monkeypatch.setattr(Batch, "close", close_late)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(begin, limited[0])
        assert counted.wait(60)
        second = pool.submit(begin, limited[1])
        second.add_done_callback(lambda _: over.set())
        assert (first.result(), second.result()) == (True, False)


# --- leases -----------------------------------------------------------------------------------------------------------


def renewal(*refs):
    return RenewLeases(session_id=refs[0].session_id, lease=e.LEASE, run_ids=[ref.run_id for ref in refs])


def test_renewing_prolongs_the_leases_of_what_an_owner_works_on(session):
    mine, forgotten = e.running(session), e.running(e.new_session())
    others = e.running(e.new_session(), lease=OTHER)
    e.lapse(mine), e.lapse(forgotten), e.lapse(others)
    assert e.commit_one(renewal(mine, others)) == 1
    alive = Run.objects.filter(lease_until__gt=Now() + timedelta(seconds=30))
    assert set(alive.values_list("pk", flat=True)) == {mine.run_id}


def test_a_renewal_locks_its_runs_with_those_of_other_entries(session, limited):
    """Before the rows of users and agents: a lock taken later could wait for a process that waits for these."""
    ref = e.running(session)
    with CaptureQueriesContext(connection) as queries:
        e.commit(e.message(limited[0], lease=ONE), renewal(ref))
    read = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    (locks_agents,) = [number for number, sql in enumerate(read) if '"agents_hostedagent"' in sql]
    locks_runs = [number for number, sql in enumerate(read) if 'FROM "sessions_app_run"' in sql and "ORDER BY" in sql]
    assert locks_runs and max(locks_runs) < locks_agents


def test_a_lease_lasts_as_long_as_it_says(session):
    e.running(session, lease=Lease("o", seconds=100))
    assert Run.objects.filter(lease_until__gt=Now() + timedelta(seconds=90)).exists()
    assert not Run.objects.filter(lease_until__gt=Now() + timedelta(seconds=110)).exists()


def commit_delayed(held, *entries):
    """Commit while another process holds these rows; a moment, by the database's clock, at which it still waited."""
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            list(held.select_for_update())
            committing = other.submit(_commit_and_close, *entries)
            while not committing.done() and not ask(WAITS_FOR_US):
                time.sleep(0.01)
            moment = ask("SELECT clock_timestamp()")
        committing.result()
    return moment


WAITS_FOR_US = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"


def _commit_and_close(*entries):
    try:
        e.commit(*entries)
    finally:
        connection.close()


def ask(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


ROW_LOCKS = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets in one writer at a time")


@ROW_LOCKS
@pytest.mark.django_db(transaction=True)
def test_a_lease_begins_when_its_process_has_waited_for_the_others(session):
    waited_at = commit_delayed(Session.objects.filter(pk=session), entry := e.message(session))
    run = Run.objects.get(pk=entry.new_run_id)
    assert run.lease_until >= waited_at + timedelta(seconds=e.LEASE.seconds)


@ROW_LOCKS
@pytest.mark.django_db(transaction=True)
def test_a_lease_that_is_renewed_late_lasts_as_long(session):
    ref = e.running(session)
    waited_at = commit_delayed(Run.objects.filter(pk=ref.run_id), renewal(ref))
    assert e.run_of(ref).lease_until >= waited_at + timedelta(seconds=e.LEASE.seconds)


@ROW_LOCKS
@pytest.mark.django_db(transaction=True)
def test_the_times_in_a_log_do_not_go_back(session):
    """Who waited for the session writes behind the one that it waited for, and later."""
    waited_at = commit_delayed(Session.objects.filter(pk=session), e.message(session))
    assert Event.objects.filter(session=session).latest("seq").created_at >= waited_at
    assert Run.objects.get().queued_at >= waited_at


def test_releasing_lets_others_take_over_at_once(session):
    ref = e.running(session)
    others = e.running(e.new_session(), lease=OTHER)
    assert e.commit_one(ReleaseRuns(session_id=session, owner=e.LEASE.owner)) == 1
    assert not Run.objects.filter(pk=ref.run_id, lease_until__gt=Now()).exists()
    assert Run.objects.filter(pk=others.run_id, lease_until__gt=Now()).exists()


def test_what_begins_in_the_same_batch_is_released_with_the_rest(session):
    waiting = e.new_session()
    e.post(waiting, lease=None)
    posted, ref, released = e.commit(
        e.message(session),
        ClaimNext(session_id=waiting, lease=e.LEASE),
        ReleaseRuns(session_id=session, owner=e.LEASE.owner),
    )
    assert released == 2
    assert (e.run_of(posted).owner, e.run_of(ref).owner) == ("", "")


def test_a_renewal_after_the_end_does_not_bring_a_run_back(session):
    ref = e.running(session)
    e.commit(e.answer(ref), renewal(ref))
    run = e.run_of(ref)
    assert (run.status, run.lease_until) == ("succeeded", None)


@ROW_LOCKS
@pytest.mark.django_db(transaction=True)
def test_a_claim_waits_for_nobody_and_takes_what_is_not_locked(session):
    """The second process finds the first one in the middle of its claim, and begins the next run."""
    other = e.new_session()
    e.post(session, lease=None), e.post(other, lease=None)
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        first = claim(session).apply(Batch(needs_of([claim(session)])))
        # In a thread: it has a connection of its own. Were it to wait, it would wait for ever.
        skipped, taken = pool.submit(results_and_close, claim(session, OTHER), claim(other, OTHER)).result(timeout=10)
    assert (first.session_id, skipped, taken.session_id) == (session, None, other)


@ROW_LOCKS
@pytest.mark.django_db(transaction=True)
def test_the_outcome_of_a_claim_that_broke_off_is_waited_for(session):
    """A commit that may still be on its way has locked the session; to skip it would tell that it was lost."""
    e.post(session, lease=None)
    once = CommitOnce(entries := [claim(session)])
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            batch = Batch(needs_of(entries))
            once._in_doubt = committed = Committed.of(batch, [entries[0].apply(batch)])
            batch.close()
            attempt = other.submit(_attempt_and_close, once)
            while not attempt.done() and not ask(WAITS_FOR_US):
                time.sleep(0.01)
            assert not attempt.done()
        assert attempt.result(timeout=10) is committed, "it is not written again"
    assert Run.objects.get().status == "running"


def _attempt_and_close(once):
    try:
        return once.attempt()
    finally:
        connection.close()


def results_and_close(*entries):
    try:
        return e.commit(*entries)
    finally:
        connection.close()
