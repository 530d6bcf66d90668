"""What calls of models cost: at which price, of which model, from when on, and where nobody knows."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from agents.budgets.allowances import Allowances
from agents.budgets.metered_llm import MeteredLLM
from agents.budgets.prices import Prices, priced_now
from agents.conf import Config, get_config
from agents.database.threads import in_thread, stop_threads
from agents.models import ModelPrice
from myagent.exceptions import LLMUnreachable
from myagent.llm import NANOS, Reply
from myagent.llm import Usage as Tokens
from myagent.llm.fallback import FallbackLLM, for_run, run_models
from myagent.messages import Message
from tests.support.entries import threads

database = pytest.mark.database
LONG_AGO = timezone.now() - timedelta(days=100)


@pytest.fixture
def connections_are_closed():
    yield
    stop_threads()


def price(model="gpt-x", input="2", output="8", cached=None, since=LONG_AGO, **more):
    columns = {"input_price": Decimal(input), "output_price": Decimal(output), "valid_from": since}
    return ModelPrice.objects.create(model=model, cached_input_price=cached and Decimal(cached), **columns, **more)


def read(currency="USD"):
    prices = Prices(currency)
    prices.refresh()
    return prices


class Model:
    """A model whose calls take what they are told to."""

    def __init__(self, name, usage, error=None):
        self.model, self._usage, self._error = name, usage, error

    async def stream(self, messages, *, tools=()):
        if self._error is not None:
            raise self._error
        yield Reply(message=Message.assistant("x" * 400), usage=self._usage)


async def reply_of(llm):
    async for chunk in llm.stream([Message.user("y" * 400)]):
        reply = chunk
    return reply


async def metered(model, **settings):
    allowances = Allowances(Config(**settings))
    await in_thread(allowances.refresh)
    return MeteredLLM(model, allowances, None, "tester")


# --- what one call costs ----------------------------------------------------------------------------------------------


@database
def test_input_output_and_what_was_cached_have_prices_of_their_own():
    used = Tokens(1_000, 100, 1, cached_input_tokens=400)
    price(cached="0.5")
    priced = read().priced(used, "gpt-x", timezone.now())
    # 600 · 2 + 400 · 0.5 + 100 · 8 millionths
    assert priced.cost == Decimal("0.0022") and priced.currency == "USD"
    assert (priced.input_tokens, priced.output_tokens, priced.llm_calls) == (1_000, 100, 1)


@database
def test_without_a_price_of_its_own_what_was_cached_costs_as_all_input():
    price()
    used = Tokens(1_000, 0, 1, cached_input_tokens=400)
    assert read().priced(used, "gpt-x", timezone.now()).cost == Decimal("0.002")


@database
def test_an_endpoint_that_reports_more_cached_than_read_takes_nothing_off():
    price(cached="0.5")
    used = Tokens(100, 0, 1, cached_input_tokens=400)
    assert read().priced(used, "gpt-x", timezone.now()).cost == Decimal("0.00005")


@database
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


@database
def test_only_the_exact_name_has_the_price():
    price("gpt-x")
    prices, now = read(), timezone.now()
    assert prices.has("gpt-x", now)
    assert not any(prices.has(name, now) for name in ("gpt-x-mini", "gpt", "GPT-X", ""))


@database
def test_a_price_keeps_the_currency_that_it_was_given_in():
    price()
    with override_settings(MYAGENT={**{"EMBEDDED_DATABASE": True}, "CURRENCY": "CNY"}):
        assert get_config().currency == "CNY"
        assert not read("CNY").has("gpt-x", timezone.now()), "two dollars never become two yuan"
        newer = price(since=timezone.now())
        assert newer.currency == "CNY"
        assert read("CNY").priced(Tokens(100, 0, 1), "gpt-x", timezone.now()).currency == "CNY"
    assert read("USD").priced(Tokens(100, 0, 1), "gpt-x", timezone.now()).currency == "USD"


@database
def test_two_prices_from_the_same_moment_are_refused_in_words():
    first = price()
    second = ModelPrice(model="gpt-x", input_price=1, output_price=1, valid_from=first.valid_from)
    with pytest.raises(ValidationError, match="from this moment on"):
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


# --- the replies of a run ---------------------------------------------------------------------------------------------


@threads
async def test_each_reply_says_what_it_cost(connections_are_closed):
    await in_thread(price)
    llm = await metered(Model("gpt-x", Tokens(1_000, 100, 1)))
    assert (await reply_of(llm)).usage.cost == Decimal("0.0028")


@threads
async def test_without_any_price_nothing_is_added_and_nothing_stands_between(connections_are_closed):
    model = Model("gpt-x", Tokens(1_000, 100, 1))
    llm = await metered(model)
    assert llm.stream([Message.user("hi")]).ag_code is model.stream([]).ag_code, "the model's own generator"
    assert (await reply_of(llm)).usage == Tokens(1_000, 100, 1)
    assert llm.priced_model == ""


@threads
async def test_a_model_without_a_price_among_others_costs_nobody_knows_what(connections_are_closed):
    await in_thread(price)
    llm = await metered(Model("gpt-y", Tokens(1_000, 100, 1)))
    assert (await reply_of(llm)).usage == Tokens(1_000, 100, 1)
    assert llm.priced_model == "gpt-y"


@threads
async def test_prices_count_that_were_not_read_yet(connections_are_closed):
    """A run that is taken over as a server starts is not cheaper."""
    await in_thread(price)
    llm = MeteredLLM(Model("gpt-x", Tokens(1_000, 0, 1)), Allowances(Config()), None, "tester")
    assert (await reply_of(llm)).usage.cost == Decimal("0.002")


@threads
async def test_what_an_endpoint_does_not_report_is_estimated_where_it_costs_something(connections_are_closed):
    await in_thread(price)
    silent = (await reply_of(await metered(Model("gpt-x", Tokens(llm_calls=1))))).usage
    assert silent.input_tokens > 90 and silent.output_tokens > 90 and silent.cost > 0
    assert (await reply_of(await metered(Model("free", Tokens(llm_calls=1))))).usage == Tokens(llm_calls=1)


@threads
async def test_a_reply_costs_what_the_model_costs_that_gave_it(connections_are_closed):
    await in_thread(price, "dear", "100", "100")
    await in_thread(price, "cheap", "1", "1")
    models = FallbackLLM(
        [Model("dear", Tokens(10, 10, 1), LLMUnreachable("away")), Model("cheap", Tokens(500_000, 500_000, 1))]
    )
    llm = await metered(for_run(models))
    several = run_models(llm)
    several.begin()
    with pytest.raises(LLMUnreachable) as away:
        await reply_of(llm)
    assert several.turn(away.value)
    assert (await reply_of(llm)).usage.cost == 1
    assert llm.priced_model == "cheap"
