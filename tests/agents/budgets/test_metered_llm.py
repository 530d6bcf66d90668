"""What the model of a run says of each reply: what it cost, and how much that may be in a day."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agents.budgets.allowances import Allowances
from agents.budgets.metered_llm import MeteredLLM
from agents.conf import Config
from agents.database.threads import in_thread, stop_threads
from myagent.exceptions import LLMUnreachable
from myagent.llm import Reply
from myagent.llm import Usage as Tokens
from myagent.llm.fallback import FallbackLLM, for_run, run_models
from myagent.messages import Message
from tests.agents.budgets.test_prices import price
from tests.support.entries import threads

pytestmark = threads


@pytest.fixture(autouse=True)
def connections_are_closed():
    yield
    stop_threads()


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


async def test_each_reply_says_what_it_cost():
    await in_thread(price)
    llm = await metered(Model("gpt-x", Tokens(1_000, 100, 1)))
    assert (await reply_of(llm)).usage.cost == Decimal("0.0028")


async def test_without_any_price_nothing_is_added_and_nothing_stands_between():
    model = Model("gpt-x", Tokens(1_000, 100, 1))
    llm = await metered(model)
    assert llm.stream([Message.user("hi")]).ag_code is model.stream([]).ag_code, "the model's own generator"
    assert (await reply_of(llm)).usage == Tokens(1_000, 100, 1)
    assert llm.priced_model == ""


async def test_a_model_without_a_price_among_others_costs_nobody_knows_what():
    await in_thread(price)
    llm = await metered(Model("gpt-y", Tokens(1_000, 100, 1)))
    assert (await reply_of(llm)).usage == Tokens(1_000, 100, 1)
    assert llm.priced_model == "gpt-y"


async def test_prices_count_that_were_not_read_yet():
    """A run that is taken over as a server starts is not cheaper."""
    await in_thread(price)
    llm = MeteredLLM(Model("gpt-x", Tokens(1_000, 0, 1)), Allowances(Config()), None, "tester")
    assert (await reply_of(llm)).usage.cost == Decimal("0.002")


async def test_what_an_endpoint_does_not_report_is_estimated_where_it_costs_something():
    await in_thread(price)
    silent = (await reply_of(await metered(Model("gpt-x", Tokens(llm_calls=1))))).usage
    assert silent.input_tokens > 90 and silent.output_tokens > 90 and silent.cost > 0
    assert (await reply_of(await metered(Model("free", Tokens(llm_calls=1))))).usage == Tokens(llm_calls=1)


async def test_a_reply_costs_what_the_model_costs_that_gave_it():
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
