"""Tokens that are set aside before a call, so that calls at the same time do not overrun a budget together."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from agents.budgets.allowances import Allowances
from agents.budgets.level import BudgetExceeded, Level
from agents.budgets.metered_llm import MeteredLLM
from agents.budgets.reservations import LEAST_OUTPUT, LIFE, Reservations
from agents.conf import Config
from agents.database.threads import in_thread, in_thread_patiently, stop_threads
from agents.models import ModelPrice
from agents.models.budgets import GroupBudget, Reservation, Usage, UserBudget
from myagent.llm import Reply
from myagent.llm import Usage as Tokens
from myagent.messages import Message
from tests.support.entries import threads
from tests.support.patience import WAIT_SECONDS

pytestmark = threads
CALL = 150


@pytest.fixture(autouse=True)
def connections_are_closed():
    yield
    stop_threads()


class CountingLLM:
    """A model whose calls take a while and `CALL` tokens; knows how many went on at once."""

    model = "counting"

    def __init__(self, together=1):
        self.together = together
        self.going = self.most = self.calls = 0

    async def stream(self, messages, *, tools=()):
        self.going += 1
        self.most = max(self.most, self.going)
        async with asyncio.timeout(WAIT_SECONDS):
            while self.most < self.together:
                await asyncio.sleep(0.005)
        self.going -= 1
        self.calls += 1
        yield Reply(message=Message.assistant("hi"), usage=Tokens(CALL - 10, 10, 1))


def charge(user_id, tokens):
    Usage.objects.add(timezone.localdate(), {(user_id, "tester"): Tokens(tokens, 0, 1)})


async def run(llm, user_id):
    """A run of one call, whose use is stored as the journal stores it. Whether it was permitted."""
    try:
        async for chunk in llm.stream([Message.user("hi")]):
            reply = chunk
    except BudgetExceeded:
        return False
    await in_thread_patiently(charge, user_id, reply.usage.input_tokens + reply.usage.output_tokens)
    llm.settle()
    return True


def made(**settings):
    allowances = Allowances(Config(**settings))
    allowances.refresh()
    return allowances


async def parallel(allowances, users, runs=50, together=1):
    inner = CountingLLM(together)
    llms = [(MeteredLLM(inner, allowances, user.pk, "tester"), user.pk) for user in users for _ in range(runs)]
    outcomes = await asyncio.gather(*(run(llm, pk) for llm, pk in llms))
    async with asyncio.timeout(WAIT_SECONDS):
        while await in_thread(Reservation.objects.exists):
            await asyncio.sleep(0.01)
    return inner, outcomes


async def used(user):
    return sum(await in_thread(list, Usage.objects.filter(user=user).values_list("input_tokens", flat=True)))


async def test_fifty_runs_at_once_overrun_a_budget_by_one_call_at_most():
    ann = await in_thread(User.objects.create, username="ann")
    inner, outcomes = await parallel(await in_thread(made, user_tokens_per_day=1_000), [ann])
    assert 1_000 <= await used(ann) < 1_000 + CALL
    assert inner.calls == sum(outcomes) == 7
    assert inner.most == 1, "what is left is less than two calls might take"


async def test_far_from_the_limit_they_do_not_wait_for_each_other():
    ann = await in_thread(User.objects.create, username="ann")
    inner, outcomes = await parallel(await in_thread(made, user_tokens_per_day=10_000_000), [ann], runs=5, together=5)
    assert all(outcomes) and inner.most == 5


async def test_members_of_a_group_and_two_processes_share_a_budget():
    group = await in_thread(Group.objects.create, name="red")
    await in_thread(GroupBudget.objects.create, group=group, tokens_per_day=1_000)
    users = [await in_thread(User.objects.create, username=name) for name in ("ann", "bob")]
    for user in users:
        await in_thread(user.groups.add, group)
    one, other = await in_thread(made), await in_thread(made)
    await asyncio.gather(parallel(one, users[:1], runs=15), parallel(other, users[1:], runs=15))
    assert 1_000 <= await used(users[0]) + await used(users[1]) < 1_000 + CALL


async def test_what_a_dead_process_has_set_aside_counts_until_it_expires():
    ann = await in_thread(User.objects.create, username="ann")
    await in_thread(UserBudget.objects.create, user=ann, tokens_per_day=LEAST_OUTPUT)
    allowances = await in_thread(made)
    dead = await Reservations(allowances).reserve(ann.pk, "tester", 1)
    living = Reservations(allowances)
    waiting = asyncio.create_task(living.reserve(ann.pk, "tester", 1))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await in_thread(Reservation.objects.filter(pk=dead).update, expires_at=timezone.now() - timedelta(seconds=1))
    assert not isinstance(await asyncio.wait_for(waiting, WAIT_SECONDS), Level)
    assert not await in_thread(Reservation.objects.filter(pk=dead).exists)


async def test_one_that_takes_long_is_renewed():
    ann = await in_thread(User.objects.create, username="ann")
    reservations = Reservations(await in_thread(made, user_tokens_per_day=10))
    key = await reservations.reserve(ann.pk, "tester", 1)
    before = (await in_thread(Reservation.objects.get, pk=key)).expires_at
    await reservations.renew()
    assert (await in_thread(Reservation.objects.get, pk=key)).expires_at == before
    reservations._live[key] -= LIFE
    await reservations.renew()
    assert (await in_thread(Reservation.objects.get, pk=key)).expires_at > before


async def test_a_used_up_budget_is_told_at_once():
    ann = await in_thread(User.objects.create, username="ann")
    await in_thread_patiently(charge, ann.pk, 10)
    found = await Reservations(await in_thread(made, user_tokens_per_day=10)).reserve(ann.pk, "tester", 1)
    assert isinstance(found, Level) and found.is_used_up


# --- money ---


class PricedLLM(CountingLLM):
    """The same at a price of one unit for a call."""

    model = "gpt-x"


def charge_cost(user_id, usage):
    Usage.objects.add(timezone.localdate(), {(user_id, "tester"): usage})


async def paid_run(llm, user_id):
    try:
        async for chunk in llm.stream([Message.user("hi")]):
            reply = chunk
    except BudgetExceeded as error:
        assert error.level.currency == "USD"
        return False
    await in_thread_patiently(charge_cost, user_id, reply.usage)
    llm.settle()
    return True


async def test_fifty_runs_at_once_overspend_a_budget_by_one_call_at_most():
    ann = await in_thread(User.objects.create, username="ann")
    price = Decimal(1_000_000) / CALL
    await in_thread(ModelPrice.objects.create, model="gpt-x", input_price=price, output_price=price)
    inner, allowances = PricedLLM(), await in_thread(made, user_cost_per_day=6.5)
    llms = [MeteredLLM(inner, allowances, ann.pk, "tester") for _ in range(50)]
    outcomes = await asyncio.gather(*(paid_run(llm, ann.pk) for llm in llms))
    assert inner.calls == sum(outcomes) == 7
    assert inner.most == 1, "what is left is less than two calls might cost"
