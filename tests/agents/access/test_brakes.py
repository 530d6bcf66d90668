"""Counters of failures: what they add up to, what is forgiven, who is never refused, and how much they may store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from agents.access import brakes
from agents.access.brakes import ADDRESS, NAME, PLACE, TOKEN, Attempt, Counter
from agents.addresses import visitor_network
from agents.models import FailureCount, KnownPlace
from agents.models.login_traces import PLACES_OF_A_USER
from tests.support.entries import database

pytestmark = database
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def ann():
    user = User.objects.create_user("ann")
    KnownPlace.objects.note(user, visitor_network(HOME))
    return user


def fail(name: str, address: str, times: int = 1, **options) -> list[float]:
    """Wrong passwords, one after the other; by how much each answer is late."""
    return [brakes.note_failure(Attempt.of(name, address, **options).counters) for _ in range(times)]


def refused(name: str, address: str, **options) -> int:
    return brakes.refused_for(Attempt.of(name, address, **options).counters)


def test_failures_are_slowed_and_then_refused():
    late = fail("ann", ELSEWHERE, 10)
    assert late[:3] == [0, 0, 0]
    assert late == sorted(late) and 0 < late[-1] <= NAME.longest
    assert 0 < refused("ann", ELSEWHERE) <= NAME.seconds


@pytest.mark.parametrize("unknown", ["ann", "nobody"])
def test_names_of_users_and_others_are_treated_alike(ann, unknown):
    assert fail(unknown, ELSEWHERE, 10) == pytest.approx(fail("other", "192.0.2.1", 10), abs=0.1)


def test_a_spray_over_names_is_refused_at_its_address_only():
    for number in range(10):
        fail(f"name{number}", ELSEWHERE)
    assert refused("another", ELSEWHERE)
    assert not refused("another", HOME)


def test_a_spray_over_addresses_is_refused_for_its_name_only():
    for number in range(10):
        fail("ann", f"192.0.2.{number}")
    assert refused("ann", ELSEWHERE)
    assert refused("ＡＮＮ", ELSEWHERE), "written in another form it is the same name"
    assert not refused("ben", ELSEWHERE)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("203.0.113.9", "::ffff:203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("", "no address", True),
    ],
)
def test_the_addresses_of_one_household_are_one(one, other, same):
    for number in range(10):
        fail(f"name{number}", one)
    assert bool(refused("another", other)) is same


def test_nobody_is_refused_where_they_have_logged_in(ann):
    for number in range(30):
        fail("ann", f"192.0.2.{number}")
        fail(f"name{number}", HOME)
    assert refused("ann", ELSEWHERE) and refused("ben", HOME)
    assert not refused("ann", HOME)
    assert fail("ann", HOME, 40)[-1] == PLACE.longest
    assert not refused("ann", HOME), "the owner's place is slowed at most"


def test_a_place_is_forgotten_after_a_while_and_with_its_user(ann):
    KnownPlace.objects.update(last_at=timezone.now() - timedelta(days=91))
    assert not KnownPlace.objects.knows("ann", HOME)
    KnownPlace.objects.note(ann, HOME)
    assert KnownPlace.objects.knows("ann", HOME)
    User.objects.update(is_active=False)
    assert not KnownPlace.objects.knows("ann", HOME)


def test_the_places_of_a_user_are_bounded(ann):
    for number in range(PLACES_OF_A_USER + 5):
        KnownPlace.objects.note(ann, f"192.0.2.{number}")
    assert KnownPlace.objects.filter(user=ann).count() == PLACES_OF_A_USER
    assert KnownPlace.objects.knows("ann", f"192.0.2.{PLACES_OF_A_USER + 4}")


def test_a_known_browser_counts_for_itself_until_it_fails_too_often(ann):
    for number in range(30):
        fail("ann", f"192.0.2.{number}")
    assert not refused("ann", ELSEWHERE, browser="mark")
    assert Attempt.of("ann", ELSEWHERE, "mark").rank == 0
    fail("ann", ELSEWHERE, 10, browser="mark")
    assert refused("ann", ELSEWHERE, browser="mark")
    assert not refused("ann", HOME, browser="mark")


def test_failures_are_forgiven_one_by_one():
    fail("ann", ELSEWHERE, 10)
    FailureCount.objects.update(forgiven_at=timezone.now() + timedelta(seconds=8.9 * NAME.seconds))
    assert not refused("ann", ELSEWHERE)
    fail("ann", ELSEWHERE)
    assert refused("ann", ELSEWHERE)
    FailureCount.objects.update(forgiven_at=timezone.now() - timedelta(seconds=1))
    fail("ann", ELSEWHERE)
    assert set(FailureCount.objects.values_list("failures", flat=True)) == {1}


def test_wrong_tokens_are_counted_for_themselves_and_write_nothing_once_refused():
    answers = [brakes.note_wrong_token(ELSEWHERE) for _ in range(TOKEN.limit + 3)]
    assert [bool(answer.refused_for) for answer in answers] == [False] * TOKEN.limit + [True] * 3
    assert answers[0].delay == 0 < answers[TOKEN.limit - 1].delay
    assert FailureCount.objects.get().failures == TOKEN.limit
    assert not refused("ann", ELSEWHERE)


def test_what_was_typed_is_not_stored():
    fail("correct horse battery staple", ELSEWHERE)
    assert not FailureCount.objects.filter(key__contains="horse").exists()


def test_the_rows_are_bounded(monkeypatch):
    monkeypatch.setattr(brakes, "MOST_ROWS", 20)
    old, now = timezone.now() - timedelta(days=1), timezone.now()
    FailureCount.objects.bulk_create(FailureCount(key=f"old{n}", forgiven_at=old) for n in range(5))
    FailureCount.objects.bulk_create(
        FailureCount(key=f"new{n:02}", forgiven_at=now + timedelta(minutes=n + 1)) for n in range(25)
    )
    brakes._remove_old_rows()
    assert sorted(FailureCount.objects.values_list("key", flat=True))[0] == "new05"
    assert FailureCount.objects.count() <= 20


def test_of_new_rows_there_are_so_many():
    counter = Counter(brake=replace(ADDRESS, limit=3), subject="x")
    assert [brakes.take(counter) for _ in range(5)] == [True, True, True, False, False]
