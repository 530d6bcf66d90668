"""Claims and leases; runs whose owner is gone are in `test_entries_recovery`."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.db.models.functions import Now
from django.utils import timezone

from sessions_app.entries.ownership import ClaimNext, Lease, ReleaseRuns, RenewLeases
from sessions_app.models import Run
from tests.factories import (
    LEASE,
    answer,
    commit,
    commit_one,
    database,
    history,
    lapse,
    message,
    new_session,
    post,
    refusals,
    run_of,
    running,
    statuses,
)

pytestmark = database

OTHER = Lease("another-owner", seconds=60)


@pytest.fixture
def session():
    return new_session()


def claim(session, lease=LEASE):
    return ClaimNext(session_id=session, lease=lease)


def test_a_claim_takes_what_waited_longest_and_gives_its_message_a_place(session):
    first, second = post(session, "one", lease=None), post(session, "two", lease=None)
    ref = commit_one(claim(session))
    assert (ref.run_id, ref.epoch) == (first.run_id, 1)
    assert history(session) == [("user", "one")]
    run = run_of(first)
    assert (run.status, run.owner, run.attempts) == ("running", LEASE.owner, 1)
    assert run.started_at is not None
    assert run_of(second).status == "queued"


def test_of_two_claims_in_one_batch_one_gets_the_run(session):
    post(session, lease=None)
    first, second = commit(claim(session), claim(session, OTHER))
    assert first is not None
    assert second is None
    assert Run.objects.get().owner == LEASE.owner


def test_there_is_nothing_to_claim_while_a_run_goes_on(session):
    ref = running(session)
    post(session)
    assert commit_one(claim(session)) is None
    assert refusals(commit(answer(ref), claim(session))) == [None, None]
    assert statuses(session) == ["succeeded", "running"]


def test_there_is_nothing_to_claim_in_an_empty_session(session):
    assert commit_one(claim(session)) is None


def test_a_message_and_its_claim_fit_into_one_batch(session):
    posted, ref = commit(message(session, lease=None), claim(session))
    assert ref.run_id == posted.run_id
    assert history(session) == [("user", "hi")]


def test_the_database_itself_refuses_a_second_active_run(session):
    running(session)
    with pytest.raises(IntegrityError):
        Run.objects.create(session_id=session, status="waiting", queued_at=timezone.now())


def renewal(*refs):
    return RenewLeases(session_id=refs[0].session_id, lease=LEASE, run_ids=[ref.run_id for ref in refs])


def test_renewing_prolongs_the_leases_of_what_an_owner_works_on(session):
    mine, forgotten = running(session), running(new_session())
    others = running(new_session(), lease=OTHER)
    lapse(mine), lapse(forgotten), lapse(others)
    assert commit_one(renewal(mine, others)) == 1
    alive = Run.objects.filter(lease_until__gt=Now() + timedelta(seconds=30))
    assert set(alive.values_list("pk", flat=True)) == {mine.run_id}


def test_a_lease_lasts_as_long_as_it_says(session):
    running(session, lease=Lease("o", seconds=100))
    assert Run.objects.filter(lease_until__gt=Now() + timedelta(seconds=90)).exists()
    assert not Run.objects.filter(lease_until__gt=Now() + timedelta(seconds=110)).exists()


def test_releasing_lets_others_take_over_at_once(session):
    ref = running(session)
    others = running(new_session(), lease=OTHER)
    assert commit_one(ReleaseRuns(session_id=session, owner=LEASE.owner)) == 1
    assert not Run.objects.filter(pk=ref.run_id, lease_until__gt=Now()).exists()
    assert Run.objects.filter(pk=others.run_id, lease_until__gt=Now()).exists()


def test_a_renewal_after_the_end_does_not_bring_a_run_back(session):
    ref = running(session)
    commit(answer(ref), renewal(ref))
    run = run_of(ref)
    assert (run.status, run.lease_until) == ("succeeded", None)
