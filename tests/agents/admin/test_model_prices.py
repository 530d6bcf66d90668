"""Prices and costs in the admin: who may fill them in, what is shown of them, and where nothing is shown."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from agents.models import GroupBudget, ModelPrice, UserBudget
from agents.models.budgets import Usage
from myagent.llm import NANOS
from myagent.llm import Usage as Tokens
from tests.agents.admin.test_people import boss, cells, clerk, page_of, visitor  # noqa: F401 - a fixture
from tests.support.admin_pages import make_run, make_session, page_path
from tests.support.entries import database

pytestmark = database
PRICES = reverse("admin:agents_modelprice_changelist")
ADD = reverse("admin:agents_modelprice_add")
FORM = {
    "model": " gpt-x ",
    "input_price": "2.5",
    "cached_input_price": "",
    "output_price": "10",
    "valid_from_0": "2026-01-01",
    "valid_from_1": "00:00:00",
}


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


def price(model="gpt-x", days=-1, **columns):
    since = timezone.now() + timedelta(days=days)
    return ModelPrice.objects.create(model=model, valid_from=since, **{"input_price": 2, "output_price": 8} | columns)


def spend(user, nanos, tokens=100, priced_tokens=100, agent="a", currency="USD"):
    cost = Tokens(tokens, 0, 1, cost_nanos=nanos, priced_tokens=priced_tokens, currency=currency)
    Usage.objects.add(timezone.localdate(), {(user.pk, agent): cost})


# --- prices -----------------------------------------------------------------------------------------------------------


def test_a_price_is_filled_in_in_the_currency_of_the_server_and_that_is_noted(boss):  # noqa: F811
    with override_settings(MYAGENT={"EMBEDDED_DATABASE": True, "CURRENCY": "CNY"}):
        assert "CNY" in boss.get(ADD).content.decode()
        assert boss.post(ADD, FORM).status_code == 302
    (row,) = ModelPrice.objects.all()
    assert (row.model, row.currency, row.input_price, row.cached_input_price) == ("gpt-x", "CNY", 2.5, None)
    assert LogEntry.objects.get().object_repr == "gpt-x"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"input_price": "-1"}, "greater than or equal to 0"),
        ({"output_price": ""}, "required"),
        ({"output_price": "NaN"}, "Enter a number"),
        ({"model": " "}, "required"),
    ],
)
def test_what_is_no_price_is_refused_in_words(boss, wrong, words):  # noqa: F811
    response = boss.post(ADD, FORM | wrong)
    assert response.status_code == 200 and words in response.content.decode()
    assert not ModelPrice.objects.exists()


def test_a_second_price_from_the_same_moment_is_refused_in_words(boss):  # noqa: F811
    boss.post(ADD, FORM)
    response = boss.post(ADD, FORM | {"input_price": "3"})
    assert "There is a price of this model from this moment on." in response.content.decode()
    assert ModelPrice.objects.count() == 1


def test_the_list_says_which_prices_hold(boss):  # noqa: F811
    for days in (-5, -1, 5):
        price(days=days, input_price=abs(days))
    price("gpt-y", currency="CNY")
    page = boss.get(PRICES)
    rows = {(row.model, row.input_price): row for row in page.context["cl"].result_list}
    holding = {key for key, row in rows.items() if row.newest == row.pk}
    assert holding == {("gpt-x", 1)}, "not the older one, nor the one to come, nor one in another currency"


def test_staff_sees_and_changes_prices_only_with_the_permissions_for_it(boss, ann):  # noqa: F811
    row = price()
    reader, stranger = clerk("view_modelprice"), clerk("view_usage", name="stranger")
    assert reader.get(PRICES).status_code == 200
    assert (reader.get(ADD).status_code, reader.post(ADD, FORM).status_code) == (403, 403)
    assert reader.post(page_of(row), FORM).status_code == 403
    for path in (PRICES, ADD, page_of(row)):
        assert stranger.get(path).status_code == 403
    assert visitor(ann).get(PRICES).status_code == 302
    assert ModelPrice.objects.get().input_price == 2
    editor = clerk("view_modelprice", "change_modelprice", name="editor")
    assert editor.post(page_of(row), FORM).status_code == 302
    assert ModelPrice.objects.get().input_price == 2.5


def test_the_pages_are_in_chinese_for_those_who_read_it(boss):  # noqa: F811
    price()
    reader = Client(headers={"accept-language": "zh-hans"})
    reader.force_login(User.objects.get(username="boss"))
    page = reader.get(PRICES).content.decode()
    for words in ("模型价格", "每百万输入 token", "生效时间", "当前生效"):
        assert words in page
    assert "留空则与其他输入同价" in reader.get(ADD).content.decode()


# --- costs ------------------------------------------------------------------------------------------------------------


def test_without_prices_no_list_speaks_of_money(boss, ann):  # noqa: F811
    UserBudget.objects.create(user=ann)
    GroupBudget.objects.create(group=Group.objects.create(name="g"))
    for kind in ("auth_user", "auth_group", "agents_usage", "agents_userbudget", "agents_groupbudget"):
        page = boss.get(reverse(f"admin:{kind}_changelist")).content.decode()
        assert "cost" not in page.lower().replace("cost of models", "")


def test_lists_show_what_was_spent_today_and_each_day(boss, ann, django_assert_max_num_queries):  # noqa: F811
    price()
    group = Group.objects.create(name="g")
    bob = User.objects.create_user("bob")
    group.user_set.add(ann, bob)
    spend(ann, NANOS // 2)
    spend(ann, NANOS // 4, agent="b", tokens=1_350)
    spend(bob, 12_345_678)
    UserBudget.objects.create(user=ann, cost_per_day=5)
    GroupBudget.objects.create(group=group, cost_per_day=7, member_cost_per_day=1)
    with django_assert_max_num_queries(7):
        assert {row[0]: row[-1] for row in cells(boss, "auth_user")} == {
            "ann": "0.75 USD",
            "bob": "0.012 USD",
            "boss": "0.00 USD",
        }
    assert cells(boss, "auth_group") == [["g", "1,550", "0.76 USD"]]
    assert cells(boss, "agents_userbudget")[0][:5] == ["ann", "-", "1,450", "5.00", "0.75 USD"]
    assert cells(boss, "agents_groupbudget")[0][2:6] == ["1,550", "7.00", "0.76 USD", "1.00"]
    assert sorted(row[1:5] for row in cells(boss, "agents_usage")) == [
        ["ann", "a", "100", "0.50 USD"],
        ["ann", "b", "1,350", "0.25 USD and 1,250 tokens without a price"],
        ["bob", "a", "100", "0.012 USD"],
    ]


def test_todays_sum_is_of_one_currency(boss, ann):  # noqa: F811
    price()
    spend(ann, NANOS)
    spend(ann, 7 * NANOS, agent="b", currency="CNY")
    assert {row[0]: row[-1] for row in cells(boss, "auth_user")}["ann"] == "1.00 USD"
    assert sorted(row[4] for row in cells(boss, "agents_usage")) == ["1.00 USD", "7.00 CNY"]


def test_a_run_shows_what_it_cost_where_something_had_a_price(boss, ann):  # noqa: F811
    free = make_run(make_session(ann), input_tokens=100, output_tokens=10)
    known = {"input_tokens": 100, "output_tokens": 10, "cost_nanos": NANOS // 3, "currency": "USD"}
    paid = make_run(make_session(ann), priced_tokens=110, **known)
    partly = make_run(make_session(ann), priced_tokens=70, **known)
    pages = [boss.get(page_path(run)).content.decode() for run in (free, paid, partly)]
    assert "Cost" not in pages[0] and "USD" not in pages[0]
    assert "Cost" in pages[1] and "0.33 USD" in pages[1] and "without a price" not in pages[1]
    assert "0.33 USD and 40 tokens without a price" in pages[2]


def test_what_is_exported_of_a_user_has_the_budget_and_the_cost(ann, capsysbinary):
    from django.core.management import call_command

    UserBudget.objects.create(user=ann, cost_per_day="2.50")
    spend(ann, NANOS // 2)
    call_command("exportuser", "ann")
    records = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    data = {record["kind"]: record["data"] for record in records}
    assert data["userbudget"]["cost_per_day"] == "2.50"
    assert (data["usage"]["cost_nanos"], data["usage"]["currency"]) == (NANOS // 2, "USD")
