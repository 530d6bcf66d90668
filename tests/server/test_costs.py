"""What runs cost is said with their answers, stored once whatever happens to the server, and limited by the day."""

from __future__ import annotations

import asyncio
import urllib.request
from decimal import Decimal

import pytest

from myagent.llm.http.endpoint import DEFAULT_MODEL
from tests.conftest import connected
from tests.support.backstage import Backstage
from tests.support.conversation import ended, refusal, turn
from tests.support.limited_runs import Restless, outlives_a_kill
from tests.support.model_replies import text
from tests.support.patience import WAIT_SECONDS

SERVER = {"files": ("limited.py",)}
pytestmark = pytest.mark.database
INPUT, OUTPUT = 2_000_000, 30_000_000
"""The prices of a million tokens: 2 for one that is read, 30 for one that is written."""
PRICE = """
from agents.models import ModelPrice
Usage.objects.all().delete()
ModelPrice.objects.all().delete()
for model, price, output in prices:
    ModelPrice.objects.create(model=model, input_price=price, output_price=output)
"""
SPENT = "result = [[row.cost_nanos, row.priced_tokens, row.currency] for row in Usage.objects.all()]"
SPENDER = """
user = User.objects.create_user(name)
UserBudget.objects.create(user=user, cost_per_day=cost)
result = AccessToken.objects.issue(user, "flow")[1]
"""
STORED = """
row = Run.objects.latest("queued_at")
result = [row.status, row.cost_nanos, row.priced_tokens, row.input_tokens, row.output_tokens, row.currency]
"""


@pytest.fixture
def server(mortal):
    return mortal


@pytest.fixture(scope="module")
def backstage(running_server):
    with Backstage(running_server) as backstage:
        yield backstage


async def priced(server, backstage, *prices):
    """These prices and no others; they hold from the start of the server on."""
    backstage.do(PRICE, prices=prices)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


def metrics_of(server) -> str:
    pytest.importorskip("prometheus_client")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=WAIT_SECONDS) as answer:
        return answer.read().decode()


def cost_of(usage) -> Decimal:
    return Decimal(2 * usage["input_tokens"] + 30 * usage["output_tokens"])


async def test_without_prices_the_usage_is_as_it_always_was(server, backstage):
    await priced(server, backstage)
    async with connected(server) as client:
        answer = (await turn(client, await client.create_session(), "hi"))[-1]
    assert answer.metadata["usage"].keys() == {"input_tokens", "output_tokens", "llm_calls"}
    assert [row[1:] for row in backstage.do(SPENT)] == [[0, ""]]


@pytest.mark.parametrize("number", [1, 3, 6])
async def test_a_kill_neither_loses_a_cost_nor_doubles_it(server, backstage, model, tmp_path, number):
    await priced(server, backstage, (DEFAULT_MODEL, INPUT, OUTPUT))
    model.default = Restless(tmp_path / "seen", hangs_at=number)
    _session_id, end = await outlives_a_kill(server, model, number)
    usage = end.metadata["usage"]
    assert usage["llm_calls"] == 6 and usage["currency"] == "USD"
    assert usage["cost"] == cost_of(usage) > 0
    tokens = usage["input_tokens"] + usage["output_tokens"]
    assert backstage.do(SPENT) == [[cost_of(usage) * 10**9, tokens, "USD"]]


async def test_an_answer_that_is_stopped_before_its_end_is_not_free(server, backstage, model):
    await priced(server, backstage, (DEFAULT_MODEL, INPUT, OUTPUT))
    model.script(text("a long answer ", hang=1))
    async with connected(server) as client:
        session_id = await client.create_session()
        run = await client.say(session_id, "tell me")
        await client.wait_for("agent.partial_answer")
        await client.cancel(session_id)
        assert (await client.wait_for(ended(run.run_id))).event == "agent.interrupted"
    status, nanos, tokens, used_input, used_output, currency = backstage.do(STORED)
    assert (status, tokens, currency) == ("cancelled", used_input + used_output, "USD")
    assert nanos == (2 * used_input + 30 * used_output) * 10**9 > 0


async def test_a_model_without_a_price_among_others_leaves_the_cost_open(server, backstage):
    await priced(server, backstage, ("another", INPUT, OUTPUT))
    async with connected(server) as client:
        answer = (await turn(client, await client.create_session(), "hi"))[-1]
    assert not {"cost", "currency"} & answer.metadata["usage"].keys()


async def test_a_budget_of_money_stops_a_runaway_agent(server, backstage, model, tmp_path):
    token = backstage.do(SPENDER, name="carla", cost=100)
    await priced(server, backstage, (DEFAULT_MODEL, INPUT, OUTPUT))
    model.default = Restless(tmp_path / "seen")
    async with connected(server, token=token) as client:
        session_id = await client.create_session()
        stopped = (await turn(client, session_id, "look around"))[-1]
        assert (stopped.event, stopped.metadata["code"]) == ("agent.error", "budget_exceeded")
        assert stopped.metadata["scope"] == "user" and stopped.metadata["free_at"]
        words = "You have spent the 100.00 USD that you may on models today. You can continue from "
        assert stopped.content.startswith(f"The answer was stopped. {words}")
        refused = await refusal(client, {"event": "user.message", "session_id": session_id, "content": "more"})
        assert (refused.metadata["code"], refused.metadata["scope"]) == ("budget_exceeded", "user")
        assert refused.content.startswith(words)
    (row,) = [row for row in backstage.do(SPENT) if row[0]]
    assert 100 * 10**9 <= row[0] < 200 * 10**9


async def test_who_has_spent_most_of_a_budget_is_told_and_prometheus_what_was_spent(server, backstage, model):
    token = backstage.do(SPENDER, name="dora", cost=50)
    await priced(server, backstage, (DEFAULT_MODEL, INPUT, OUTPUT))
    model.script(text("Hello!"))
    async with connected(server, token=token) as client:
        usage = (await turn(client, await client.create_session(), "hi"))[-1].metadata["usage"]
        notice = await client.wait_for(lambda frame: frame.metadata.get("action") == "budget")
    assert usage["cost"] == 44
    assert (notice.metadata["percent"], notice.metadata["scope"]) == (88, "user")
    assert notice.content == "You have used 88 % of the 50.00 USD that you may spend on models today."
    page = await asyncio.to_thread(metrics_of, server)
    line = f'myagent_model_cost_total{{agent="limited",currency="USD",model="{DEFAULT_MODEL}"}} 44.0'
    assert line in page.splitlines()
