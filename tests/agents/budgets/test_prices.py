"""What calls of models cost: at which price, of which model, from when on, and where nobody knows."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings
from django.utils import timezone
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from agents.budgets.prices import Prices, priced_now
from agents.conf import get_config
from agents.models import ModelPrice
from myagent.llm import NANOS
from myagent.llm import Usage as Tokens
from tests.support.entries import database

pytestmark = database
LONG_AGO = timezone.now() - timedelta(days=100)


def price(model="gpt-x", input="2", output="8", cached=None, since=LONG_AGO, **more):
    columns = {"input_price": Decimal(input), "output_price": Decimal(output), "valid_from": since}
    return ModelPrice.objects.create(model=model, cached_input_price=cached and Decimal(cached), **columns, **more)


def read(currency="USD"):
    prices = Prices(currency)
    prices.refresh()
    return prices


# --- what one call costs ----------------------------------------------------------------------------------------------


def test_input_output_and_what_was_cached_have_prices_of_their_own():
    used = Tokens(1_000, 100, 1, cached_input_tokens=400)
    price(cached="0.5")
    priced = read().priced(used, "gpt-x", timezone.now())
    # 600 · 2 + 400 · 0.5 + 100 · 8 millionths
    assert priced.cost == Decimal("0.0022") and priced.currency == "USD"
    assert (priced.input_tokens, priced.output_tokens, priced.llm_calls) == (1_000, 100, 1)


def test_without_a_price_of_its_own_what_was_cached_costs_as_all_input():
    price()
    used = Tokens(1_000, 0, 1, cached_input_tokens=400)
    assert read().priced(used, "gpt-x", timezone.now()).cost == Decimal("0.002")


def test_an_endpoint_that_reports_more_cached_than_read_takes_nothing_off():
    price(cached="0.5")
    used = Tokens(100, 0, 1, cached_input_tokens=400)
    assert read().priced(used, "gpt-x", timezone.now()).cost == Decimal("0.00005")


def test_a_price_holds_from_its_moment_until_the_next_one():
    now = timezone.now()
    price(input="1", since=now - timedelta(days=2))
    price(input="3", since=now + timedelta(days=1))
    price(input="2", since=now - timedelta(days=1))
    prices, used = read(), Tokens(NANOS // 1_000, 0, 1)
    days = {days: prices.priced(used, "gpt-x", now + timedelta(days=days)).cost for days in (-3, -1.5, 0, 2)}
    assert days == {-3: None, -1.5: 1, 0: 2, 2: 3}
    for moment, cost in ((now, 2), (now - timedelta(days=1.5), 1), (now - timedelta(days=3), None)):
        assert priced_now(used, "gpt-x", "USD", moment).cost == cost


def test_only_the_exact_name_has_the_price():
    price("gpt-x")
    prices, now = read(), timezone.now()
    assert prices.has("gpt-x", now)
    assert not any(prices.has(name, now) for name in ("gpt-x-mini", "gpt", "GPT-X", ""))


def test_a_price_keeps_the_currency_that_it_was_given_in():
    price()
    with override_settings(MYAGENT={**{"EMBEDDED_DATABASE": True}, "CURRENCY": "CNY"}):
        assert get_config().currency == "CNY"
        assert not read("CNY").has("gpt-x", timezone.now()), "two dollars never become two yuan"
        newer = price(since=timezone.now())
        assert newer.currency == "CNY"
        assert read("CNY").priced(Tokens(100, 0, 1), "gpt-x", timezone.now()).currency == "CNY"
    assert read("USD").priced(Tokens(100, 0, 1), "gpt-x", timezone.now()).currency == "USD"


def test_two_prices_from_the_same_moment_are_refused_in_words():
    first = price()
    second = ModelPrice(model="gpt-x", input_price=1, output_price=1, valid_from=first.valid_from)
    with override("en"), pytest.raises(ValidationError, match="from this moment on"):
        second.full_clean(exclude=["currency"])


# --- sums -------------------------------------------------------------------------------------------------------------

USAGES = st.builds(
    lambda tokens, nanos, currency: (
        Tokens(tokens, 0, 1, cost_nanos=nanos, priced_tokens=tokens, currency=currency)
        if currency
        else Tokens(tokens, 0, 1)
    ),
    st.integers(1, 1_000),
    st.integers(0, NANOS),
    st.sampled_from(["", "USD", "CNY"]),
)


@given(st.lists(USAGES, max_size=8))
def test_a_sum_is_of_one_currency_and_has_a_cost_where_all_of_it_has_a_price(usages):
    total = sum(usages, Tokens())
    currencies = {usage.currency for usage in usages}
    first = next((usage.currency for usage in usages if usage.currency), "")
    assert total.currency == first
    assert total.cost_nanos == sum(usage.cost_nanos for usage in usages if usage.currency == first)
    if len(currencies) == 1 and first:
        assert total.cost == Decimal(total.cost_nanos) / NANOS
    else:
        assert total.cost is None


def test_a_free_model_costs_nothing_which_is_not_the_same_as_nobody_knows():
    assert Tokens(10, 5, 1, priced_tokens=15, currency="USD").cost == 0
    assert Tokens(10, 5, 1).cost is None and Tokens(llm_calls=2).cost is None
