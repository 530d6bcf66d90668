"""Limits of users, groups and agents: which one holds, how much is used, and how fast messages may come."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.test import override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from agents.budgets.allowances import Allowance, Allowances, TooFast
from agents.budgets.level import BudgetExceeded, Level, end_of_day
from agents.conf import Config
from agents.models import HostedAgent
from agents.models.budgets import GroupBudget, Usage, UserBudget, used_by, used_by_anonymous
from myagent import i18n
from myagent.llm import Usage as Tokens

pytestmark = pytest.mark.database
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


# --- pace -------------------------------------------------------------------------------------------------------------


def pass_all(per_minute: int, moments: list[float]) -> list[int | None]:
    """Which of the messages at these seconds pass (None), and how long the others have to wait."""
    allowance = Allowance(user_id=1, messages_per_minute=per_minute)
    due_at, outcomes = NOON - timedelta(days=1), []
    for second in moments:
        try:
            due_at = allowance.next_due(due_at, NOON + timedelta(seconds=second))
            outcomes.append(None)
        except TooFast as error:
            outcomes.append(error.seconds)
    return outcomes


def test_as_many_as_are_allowed_may_come_at_once():
    assert pass_all(3, [0, 0, 0, 0, 19, 20, 20, 39.5, 40]) == [None, None, None, 20, 1, None, 20, 1, None]
    assert pass_all(1, [0, 59.9, 60]) == [None, 1, None]
    assert pass_all(3, [0, 0, 0, 60, 60, 60, 60]) == [None] * 6 + [20]


def test_a_clock_that_ran_ahead_costs_a_minute_at_most():
    allowance = Allowance(user_id=1, messages_per_minute=3)
    ahead = allowance.next_due(NOON, NOON + timedelta(hours=2))
    with pytest.raises(TooFast) as early:
        allowance.next_due(ahead, NOON)
    assert early.value.seconds == 20
    assert allowance.next_due(NOON + timedelta(minutes=1), NOON + timedelta(seconds=20)) is not None


def test_none_at_all_and_no_limit():
    with pytest.raises(TooFast) as none:
        Allowance(user_id=1, messages_per_minute=0).next_due(NOON, NOON)
    assert none.value.seconds is None
    assert Allowance(user_id=1).next_due(NOON, NOON) is None
    assert not Allowance(user_id=1).is_paced
    assert not Allowance(user_id=None, messages_per_minute=3).is_paced


@given(st.integers(1, 60), st.lists(st.floats(0, 300), min_size=1, max_size=200))
def test_however_they_come_the_average_holds(per_minute, moments):
    moments.sort()
    passed = [at for at, wait in zip(moments, pass_all(per_minute, moments), strict=True) if wait is None]
    assert len(passed) <= per_minute + (moments[-1] - moments[0]) * per_minute / 60 + 1e-3


@given(st.integers(1, 60), st.lists(st.floats(0, 300), min_size=1, max_size=100))
def test_whoever_waits_as_told_passes(per_minute, moments):
    moments.sort()
    waits = pass_all(per_minute, moments)
    if (wait := waits[-1]) is not None:
        assert 0 < wait <= 60
        assert pass_all(per_minute, [*moments, moments[-1] + wait])[-1] is None


# --- a day ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "now", "end"),
    [
        ("UTC", NOON, datetime(2026, 3, 30, tzinfo=UTC)),
        ("Asia/Shanghai", datetime(2026, 3, 29, 15, 59, tzinfo=UTC), datetime(2026, 3, 29, 16, tzinfo=UTC)),
        ("Asia/Shanghai", datetime(2026, 3, 29, 16, 0, tzinfo=UTC), datetime(2026, 3, 30, 16, tzinfo=UTC)),
        # The night in which the clocks go forward, and the day after it.
        ("Europe/Berlin", datetime(2026, 3, 28, 22, 59, tzinfo=UTC), datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("Europe/Berlin", NOON, datetime(2026, 3, 29, 22, tzinfo=UTC)),
    ],
)
def test_a_day_ends_by_the_servers_clock(zone, now, end):
    with override_settings(TIME_ZONE=zone):
        assert end_of_day(now) == end


def test_the_user_is_told_whose_budget_it_is_and_when_there_is_a_new_one():
    free_at = datetime(2026, 3, 30, tzinfo=UTC)
    told = BudgetExceeded(Level(scope="user", used=12_400, limit=12_000), free_at)
    assert (
        str(told) == "You have used up your 12,000 model tokens of today. You can continue from 2026-03-30 00:00 (UTC)."
    )
    assert told.details == {"scope": "user", "free_at": "2026-03-30T00:00:00.000Z"}
    stopped = BudgetExceeded(Level(scope="agent", used=5, limit=5), free_at, refused=False)
    assert str(stopped).startswith("The answer was stopped. This agent has used up its model tokens")
    assert "5" not in str(stopped).partition("from")[0], "how much others use is nobody's business"
    anonymous = BudgetExceeded(Level(scope="user", used=5, limit=5, anonymous=True), free_at)
    assert "Anonymous users" in str(anonymous)
    assert "Your group" in str(BudgetExceeded(Level(scope="group", used=5, limit=5), free_at))


@pytest.mark.parametrize(
    ("used", "limit", "percent", "gone"),
    [
        (0, 10, 0, False),
        (8, 10, 80, False),
        (99, 100, 99, False),
        (10, 10, 100, True),
        (25, 10, 250, True),
        (0, 0, 100, True),
    ],
)
def test_levels(used, limit, percent, gone):
    level = Level(scope="user", used=used, limit=limit)
    assert (level.percent, level.is_used_up) == (percent, gone)
    assert level.is_nearly_used_up == (used >= 8 and percent >= 80)


# --- in the database --------------------------------------------------------------------------------------------------


def spend(user: User | None, tokens: int, *, agent: str = "a", day: date | None = None) -> None:
    spent = {(user.pk if user else None, agent): Tokens(tokens - 1, 1, 1)}
    Usage.objects.add(day or timezone.localdate(), spent)


def limits(user: User | None, agent: str = "a", **options: int) -> Allowance:
    allowances = Allowances(Config(**options))
    allowances.refresh()
    return allowances.of(user.pk if user else None, agent)


@pytest.fixture
def ann(db):
    return User.objects.create_user("ann")


@pytest.fixture
def bob(db):
    return User.objects.create_user("bob")


def test_what_is_used_adds_up(ann, bob):
    today = timezone.localdate()
    for _ in range(2):
        spend(ann, 10)
        spend(ann, 5, agent="b")
        spend(bob, 7)
        spend(None, 3)
    spend(ann, 100, day=today - timedelta(days=1))
    assert {
        (row.user_id, row.agent): (row.input_tokens, row.output_tokens, row.llm_calls)
        for row in Usage.objects.on(today)
    } == {
        (ann.pk, "a"): (18, 2, 2),
        (ann.pk, "b"): (8, 2, 2),
        (bob.pk, "a"): (12, 2, 2),
        (None, "a"): (4, 2, 2),
    }
    assert used_by("user", [ann.pk, bob.pk, 0], today) == {ann.pk: 30, bob.pk: 14}
    assert used_by("agent", ["a", "b", "c"], today) == {"a": 40, "b": 10}
    assert used_by_anonymous(today) == 6
    group = Group.objects.create(name="g")
    group.user_set.add(ann, bob)
    assert used_by("group", [group.pk, 0], today) == {group.pk: 44}
    assert used_by("user", [ann.pk], today - timedelta(days=9)) == used_by("user", [], today) == {}


def test_the_own_limit_comes_before_the_groups_and_those_before_the_settings(ann, bob):
    assert limits(ann) == Allowance(user_id=ann.pk)
    options = {"user_max_runs": 9, "user_messages_per_minute": 90}
    assert limits(ann, **options).max_runs == 9
    assert limits(None, **options) == Allowance(user_id=None), "nobody cannot be told apart"
    for name, runs in (("few", 3), ("many", 5), ("silent", None)):
        ann.groups.add(group := Group.objects.create(name=name))
        GroupBudget.objects.create(group=group, member_max_runs=runs)
    assert (limits(ann, **options).max_runs, limits(bob, **options).max_runs) == (5, 9)
    UserBudget.objects.create(user=ann, max_runs=0)
    assert limits(ann, **options) == Allowance(user_id=ann.pk, max_runs=0, messages_per_minute=90)


def test_budgets_are_used_up_by_user_group_and_agent(ann, bob):
    spend(ann, 100)
    assert limits(ann, user_tokens_per_day=101).reached is None
    assert limits(ann, user_tokens_per_day=100).reached == Level(scope="user", used=100, limit=100)
    assert limits(bob, user_tokens_per_day=100).reached is None
    # A group's members share its budget, whichever agents they use.
    ann.groups.add(group := Group.objects.create(name="g"))
    bob.groups.add(group)
    spend(bob, 50, agent="b")
    assert limits(bob, "c", group_tokens_per_day=150).reached == Level(
        scope="group", used=150, limit=150, group_id=group.pk
    )
    GroupBudget.objects.create(group=group, tokens_per_day=200)
    assert limits(bob, "c", group_tokens_per_day=150).reached is None
    # An agent's budget is everybody's.
    HostedAgent.objects.create(name="a", tokens_per_day=100)
    assert limits(bob, "a").reached == Level(scope="agent", used=100, limit=100)
    assert limits(bob, "b", agent_tokens_per_day=50).reached == Level(scope="agent", used=50, limit=50)
    assert limits(bob, "a", agent_tokens_per_day=50).reached.limit == 100


def test_those_without_a_name_are_one_user(ann):
    spend(None, 60)
    spend(None, 60, agent="b")
    assert limits(None, user_tokens_per_day=120).reached == Level(scope="user", used=120, limit=120, anonymous=True)
    assert limits(ann, user_tokens_per_day=120).reached is None


def test_yesterdays_use_does_not_count(ann):
    spend(ann, 1000, day=timezone.localdate() - timedelta(days=1))
    assert limits(ann, user_tokens_per_day=10).reached is None


def test_what_is_not_limited_costs_no_query(ann, django_assert_num_queries):
    allowances = Allowances(Config())
    assert allowances.may_limit("a"), "before the first look nothing is known"
    allowances.refresh()
    assert not allowances.may_limit("a")
    with django_assert_num_queries(0):
        assert allowances.nearly_used_up([ann.pk]) == {}
    HostedAgent.objects.create(name="a", tokens_per_day=5)
    allowances.refresh()
    assert (allowances.may_limit("a"), allowances.may_limit("b")) == (True, False)
    with django_assert_num_queries(1):
        allowances.of(ann.pk, "a")
    UserBudget.objects.create(user=ann)
    allowances.refresh()
    assert allowances.may_limit("b")


def test_who_has_used_most_of_a_budget(ann, bob, django_assert_num_queries):
    eve, joe = User.objects.create_user("eve"), User.objects.create_user("joe")
    group, other = (Group.objects.create(name=name) for name in ("g", "other"))
    ann.groups.add(group, other)
    joe.groups.add(group, other)
    for limited in (group, other):
        GroupBudget.objects.create(group=limited, tokens_per_day=1000)
    spend(ann, 95)
    spend(bob, 79)
    spend(eve, 80)
    HostedAgent.objects.create(name="a", tokens_per_day=1)
    allowances = Allowances(Config(user_tokens_per_day=100))
    allowances.refresh()
    with django_assert_num_queries(3):  # use by users, limits of groups, use by groups
        assert allowances.nearly_used_up([10**6]) == {}
    GroupBudget.objects.filter(group=group).update(tokens_per_day=100)
    with django_assert_num_queries(7):
        found = allowances.nearly_used_up([ann.pk, bob.pk, eve.pk, joe.pk])
    of_group = Level(scope="group", used=95, limit=100, group_id=group.pk)
    assert found == {
        ann.pk: [Level(scope="user", used=95, limit=100), of_group],
        eve.pk: [Level(scope="user", used=80, limit=100)],
        joe.pk: [of_group],  # who has used nothing
    }
    many = [User.objects.create_user(f"member{number}") for number in range(9)]
    group.user_set.add(*many)
    with django_assert_num_queries(7):
        assert len(allowances.nearly_used_up([ann.pk, *(user.pk for user in many)])) == 10


def test_members_hear_of_the_budget_that_the_settings_give_every_group(ann, bob):
    group, unlimited = (Group.objects.create(name=name) for name in ("g", "unlimited"))
    group.user_set.add(ann, bob)
    unlimited.user_set.add(bob)
    GroupBudget.objects.create(group=unlimited, tokens_per_day=10**6)
    spend(ann, 90)
    allowances = Allowances(Config(group_tokens_per_day=100))
    allowances.refresh()
    level = Level(scope="group", used=90, limit=100, group_id=group.pk)
    assert allowances.nearly_used_up([ann.pk, bob.pk]) == {ann.pk: [level], bob.pk: [level]}


def test_which_agents_have_used_most_of_their_budgets(ann, django_assert_num_queries):
    spend(ann, 79)
    spend(ann, 80, agent="b")
    for name in ("a", "b", "c"):
        HostedAgent.objects.create(name=name, tokens_per_day=100)
    allowances = Allowances(Config())
    allowances.refresh()
    with django_assert_num_queries(1):
        found = allowances.agents_nearly_used_up(["a", "b", "c", "d"])
    assert found == {"b": Level(scope="agent", used=80, limit=100)}
    with django_assert_num_queries(0):
        assert allowances.agents_nearly_used_up(["d"]) == {}
