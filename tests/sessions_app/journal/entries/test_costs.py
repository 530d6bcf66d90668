"""What runs cost is stored with their tokens: once, in the same transaction, at the price of then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from agents.models import ModelPrice, Usage
from myagent.llm import NANOS
from myagent.llm import Usage as Tokens
from sessions_app.journal.entries.recovery import RecoverRun
from sessions_app.journal.entries.runs import BeginStep
from sessions_app.journal.entries.sessions import CancelRuns
from sessions_app.journal.usage_ledger import usage_of
from tests.support import entries as e

pytestmark = e.database


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


@pytest.fixture
def ref(ann):
    return e.running(e.new_session(user_id=ann.pk))


def priced(tokens: int, cost: str, currency: str = "USD") -> Tokens:
    return Tokens(tokens, 0, 1, cost_nanos=round(Decimal(cost) * NANOS), priced_tokens=tokens, currency=currency)


def replied(ref, usage: Tokens):
    entry = e.reply(ref, e.call_of())
    return replace(entry, reply=replace(entry.reply, usage=usage))


def ended(ref, usage: Tokens):
    return replace(e.failure(ref), usage=usage)


def began(ref, model: str, step: int = 1):
    return BeginStep(**e.mine(ref), events=e.thinking(ref, step).events, model=model)


def spent() -> list[tuple[int, int, int, str]]:
    return list(Usage.objects.values_list("input_tokens", "cost_nanos", "priced_tokens", "currency"))


def cost_of(ref) -> Decimal | None:
    return usage_of(e.run_of(ref)).cost


def test_a_cost_is_counted_once_however_often_the_run_reports_it(ref):
    e.commit(replied(ref, first := priced(100, "0.25")), ended(ref, first + priced(50, "0.000000001")))
    assert spent() == [(150, NANOS // 4 + 1, 150, "USD")]
    assert cost_of(ref) == Decimal("0.250000001")


def test_after_a_crash_the_run_goes_on_with_what_it_had_cost(ref):
    e.commit_one(replied(ref, priced(100, "0.25")))
    e.lapse(ref)
    entry = RecoverRun(
        session_id=ref.session_id, dead_run_id=ref.run_id, epoch=ref.epoch, lease=e.LEASE, idempotent=frozenset()
    )
    recovered = e.commit_one(entry)
    assert recovered.checkpoint.usage.cost == Decimal("0.25")
    e.commit_one(ended(recovered.ref, recovered.checkpoint.usage + priced(100, "0.5")))
    assert e.refusals(e.commit(ended(ref, priced(900, "9")))) == ["stale_run"]
    assert spent() == [(200, 3 * NANOS // 4, 200, "USD")] and cost_of(recovered.ref) == Decimal("0.75")


def test_where_a_part_had_no_price_the_run_has_no_cost_and_the_day_has_what_is_known(ref):
    e.commit_one(ended(ref, priced(100, "0.25") + Tokens(50, 0, 1)))
    assert cost_of(ref) is None
    assert spent() == [(150, NANOS // 4, 100, "USD")]


def test_without_prices_nothing_is_stored_of_money(ref):
    e.commit(began(ref, ""), e.reply(ref, e.call_of()))
    row = e.run_of(ref)
    assert (row.cost_nanos, row.priced_tokens, row.currency, row.model) == (0, 0, "", "")
    assert spent() == [(10, 0, 0, "")]


def test_two_runs_of_a_batch_in_two_currencies_are_not_added_up(ann):
    refs = [e.running(e.new_session(user_id=ann.pk)) for _ in range(2)]
    e.commit(ended(refs[0], priced(10, "1")), ended(refs[1], priced(20, "7", "CNY")))
    assert spent() == [(30, NANOS, 10, "USD")]
    assert [e.run_of(ref).currency for ref in refs] == ["USD", "CNY"]


def test_a_call_that_is_broken_off_costs_what_its_model_costs(ref):
    """Whoever stops every answer just before its end does not get them for nothing."""
    for model, price in (("dear", 2), ("cheap", 1)):
        since = timezone.now() - timedelta(days=1)
        ModelPrice.objects.create(model=model, input_price=price, output_price=10 * price, valid_from=since)
    e.commit(began(ref, "dear"), began(ref, "cheap"), e.deltas(ref, e.partial(ref, "y" * 700)))
    e.commit_one(CancelRuns(session_id=ref.session_id))
    row = e.run_of(ref)
    assert row.model == "cheap" and row.input_tokens > 0 and row.output_tokens > 100
    expected = (row.input_tokens + 10 * row.output_tokens) * NANOS // 1_000_000
    assert (row.cost_nanos, row.priced_tokens) == (expected, row.input_tokens + row.output_tokens)
    assert spent() == [(row.input_tokens, expected, row.priced_tokens, "USD")]


def test_a_price_that_changes_changes_nothing_of_the_past(ref):
    price = ModelPrice.objects.create(model="gpt-x", input_price=2, output_price=2)
    e.commit_one(ended(ref, price.priced(Tokens(1_000_000, 0, 1))))
    ModelPrice.objects.update(input_price=9)
    assert cost_of(ref) == 2
    ModelPrice.objects.all().delete()
    assert cost_of(ref) == 2 and spent()[0][1] == 2 * NANOS
