"""Budgets of money: whose they are, what counts for them, what people are told, and how calls at once share them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from agents.budgets.allowances import Allowances
from agents.budgets.level import BudgetExceeded, Level, notice_of
from agents.conf import Config
from agents.models.budgets import GroupBudget, Usage, UserBudget
from myagent import i18n
from myagent.llm import NANOS
from myagent.llm import Usage as Tokens
from tests.support.entries import database

pytestmark = database
MIDNIGHT = datetime(2026, 3, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


def spend(user, amount, currency="USD", agent="a"):
    cost = Tokens(10, 0, 1, cost_nanos=round(Decimal(amount) * NANOS), priced_tokens=10, currency=currency)
    Usage.objects.add(timezone.localdate(), {(user and user.pk, agent): cost})


def allowances(**settings):
    made = Allowances(Config(**settings))
    made.refresh()
    return made


def reached(user, **settings):
    return allowances(**settings).of(user and user.pk, "a").reached


def level(used, limit, **more):
    return Level(**{"scope": "user", "currency": "USD"} | more, used=round(used * NANOS), limit=round(limit * NANOS))


def test_what_is_spent_with_all_agents_counts_to_the_last_cent(ann):
    spend(ann, "0.1")
    spend(ann, "0.2", agent="b")
    assert reached(ann, user_cost_per_day=0.31) is None
    assert reached(ann, user_cost_per_day=0.3) == level(0.3, 0.3)


def test_the_own_limit_comes_before_the_groups_and_those_before_the_settings(ann):
    spend(ann, "2")
    group = Group.objects.create(name="g")
    ann.groups.add(group)
    assert reached(ann, user_cost_per_day=1) == level(2, 1)
    GroupBudget.objects.create(group=group, member_cost_per_day=3)
    assert reached(ann, user_cost_per_day=1) is None
    UserBudget.objects.create(user=ann, cost_per_day="1.50")
    assert reached(ann, user_cost_per_day=9) == level(2, 1.5)


def test_members_of_a_group_spend_together(ann):
    group, bob = Group.objects.create(name="g"), User.objects.create_user("bob")
    group.user_set.add(ann, bob)
    spend(ann, "1")
    spend(bob, "2")
    assert reached(bob, group_cost_per_day=4) is None
    assert reached(bob, group_cost_per_day=3) == level(3, 3, scope="group", group_id=group.pk)
    GroupBudget.objects.create(group=group, cost_per_day=5)
    assert reached(bob, group_cost_per_day=3) is None


def test_anonymous_users_spend_as_one(ann):
    spend(None, "1")
    spend(None, "1", agent="b")
    assert reached(None, user_cost_per_day=2) == level(2, 2, anonymous=True)
    assert reached(ann, user_cost_per_day=2) is None


def test_tokens_and_money_are_limited_beside_each_other(ann):
    spend(ann, "1")
    assert reached(ann, user_tokens_per_day=10, user_cost_per_day=5).currency == ""
    assert reached(ann, user_tokens_per_day=11, user_cost_per_day=1) == level(1, 1)
    assert reached(ann, user_tokens_per_day=11, user_cost_per_day=2) is None


def test_another_currency_is_never_added(ann):
    spend(ann, "1")
    spend(ann, "7", currency="CNY")
    (row,) = Usage.objects.all()
    assert (row.currency, row.cost_nanos, row.priced_tokens, row.input_tokens) == ("USD", NANOS, 10, 20)
    assert reached(ann, user_cost_per_day=1.5) is None
    assert reached(ann, user_cost_per_day=0.5, currency="CNY") is None
    spend(ann, "7", currency="CNY", agent="b")
    assert reached(ann, user_cost_per_day=7, currency="CNY") == level(7, 7, currency="CNY")


def test_what_had_no_price_makes_room_for_a_currency(ann):
    Usage.objects.add(timezone.localdate(), {(ann.pk, "a"): Tokens(100, 0, 1)})
    spend(ann, "3", currency="CNY")
    (row,) = Usage.objects.all()
    assert (row.currency, row.cost_nanos, row.priced_tokens, row.input_tokens) == ("CNY", 3 * NANOS, 10, 110)


def test_who_has_spent_most_of_a_budget(ann):
    group, bob = Group.objects.create(name="g"), User.objects.create_user("bob")
    group.user_set.add(ann, bob)
    GroupBudget.objects.create(group=group, cost_per_day=1, tokens_per_day=10_000)
    spend(ann, "0.9")
    of_group = level(0.9, 1, scope="group", group_id=group.pk)
    found = allowances(user_cost_per_day=1).nearly_used_up([ann.pk, bob.pk])
    assert found == {ann.pk: [level(0.9, 1), of_group], bob.pk: [of_group]}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "You have spent the 12.50 USD that you may on models today. You can continue from 2026-03-30"),
        ({"scope": "group"}, "Your group has spent the 12.50 USD that it may on models today."),
        ({"anonymous": True}, "Anonymous users have spent what they may on models today."),
    ],
)
def test_who_has_spent_all_is_told_in_words(more, words):
    told = BudgetExceeded(level(13, 12.5, **more), MIDNIGHT)
    assert str(told).startswith(words)
    assert told.code == "budget_exceeded" and set(told.details) == {"scope", "free_at"}
    assert words in str(BudgetExceeded(level(13, 12.5, **more), MIDNIGHT, refused=False))


def test_notices_name_the_amount():
    assert notice_of(level(4, 5)) == "You have used 80 % of the 5.00 USD that you may spend on models today."
    of_group = notice_of(level(0.0041, 0.005, scope="group"))
    assert of_group == "Your group has used 82 % of the 0.0050 USD that it may spend on models today."


def test_notices_in_chinese(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "zh-hans")
    assert "80 %" in notice_of(level(4, 5)) and "5.00 USD" in notice_of(level(4, 5))
    assert "You" not in notice_of(level(4, 5)) and "You" not in str(BudgetExceeded(level(5, 5), MIDNIGHT))
