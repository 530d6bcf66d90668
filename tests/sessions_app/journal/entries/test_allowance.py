"""What the journal counts as used, and what it lets nobody begin: under locks, once, and in no case twice."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone

from agents.budgets.allowances import Allowance
from agents.budgets.level import Level
from agents.models.budgets import Pace, Usage
from myagent.llm import Usage as Tokens
from myagent.protocol.error_codes import ErrorCode
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.recovery import RecoverRun
from sessions_app.journal.entries.runs import EndRun
from sessions_app.journal.entries.sessions import CancelRuns, DeleteSession
from sessions_app.journal.entry import needs_of
from sessions_app.models import Run
from tests.support import entries as e

pytestmark = e.database


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


def used(user: User | None = None) -> tuple[int, int, int]:
    """Input and output tokens and calls of today."""
    rows = Usage.objects.on(timezone.localdate()).filter(user=user)
    (row,) = rows.values_list("input_tokens", "output_tokens", "llm_calls") or [(0, 0, 0)]
    return row


def failed(ref, usage: Tokens, code: str = "llm_error") -> EndRun:
    (event,) = e.answer(ref).events
    return EndRun(**e.mine(ref), status=Run.Status.FAILED, steps=1, usage=usage, error_code=code, events=(event,))


# --- what was used ----------------------------------------------------------------------------------------------------


def test_calls_are_counted_once_however_often_the_run_reports_them(ann):
    ref = e.running(e.new_session(user_id=ann.pk))
    first = e.commit_one(e.reply(ref, call := e.call_of()))
    assert used(ann) == (10, 5, 1)
    e.commit(e.result(ref, call, first), failed(ref, Tokens(30, 8, 3)))
    assert used(ann) == (30, 8, 3)
    row = e.run_of(ref)
    assert (row.input_tokens, row.output_tokens, row.llm_calls) == (30, 8, 3)


def test_all_entries_of_one_batch_count(ann):
    session_id = e.new_session(user_id=ann.pk)
    ref = e.running(session_id)
    other, nobodys = e.running(e.new_session(user_id=ann.pk, agent="b")), e.running(e.new_session())
    e.commit(e.reply(ref, e.call_of()), e.answer(ref), e.answer(other), failed(nobodys, Tokens(1, 1, 1)))
    rows = {(row.user_id, row.agent): row.input_tokens for row in Usage.objects.all()}
    assert rows == {(ann.pk, "tester"): 10, (ann.pk, "b"): 10, (None, "tester"): 1}


def test_nothing_used_leaves_no_row(ann):
    ref = e.running(e.new_session(user_id=ann.pk))
    e.commit_one(failed(ref, Tokens()))
    assert not Usage.objects.exists()


def test_a_stale_owner_is_not_charged_for(ann):
    ref = e.running(e.new_session(user_id=ann.pk))
    e.commit_one(CancelRuns(session_id=ref.session_id))
    before = used(ann)
    assert e.refusals(e.commit(e.answer(ref))) == ["stale_run"]
    assert used(ann) == before


def test_after_a_crash_only_what_is_new_counts(ann):
    """The run's own columns tell what was counted already, and both are written in one transaction."""
    ref = e.running(e.new_session(user_id=ann.pk))
    e.commit_one(e.reply(ref, e.call_of()))
    e.lapse(ref)
    recovered = e.commit_one(
        RecoverRun(
            session_id=ref.session_id, dead_run_id=ref.run_id, epoch=ref.epoch, lease=e.LEASE, idempotent=frozenset()
        )
    )
    assert recovered.ref.user_id == ann.pk
    assert recovered.checkpoint.usage == e.USAGE
    e.commit_one(failed(recovered.ref, recovered.checkpoint.usage + Tokens(7, 3, 1)))
    assert used(ann) == (17, 8, 2)


def test_what_is_rolled_back_is_not_counted(ann):
    ref = e.running(e.new_session(user_id=ann.pk))
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        entry = e.reply(ref, e.call_of())
        batch = Batch(needs_of([entry]))
        entry.apply(batch)
        batch.close()
        raise ZeroDivisionError
    assert used(ann) == (0, 0, 0)
    e.commit_one(e.reply(ref, e.call_of()))
    assert used(ann) == (10, 5, 1)


def test_the_day_is_the_servers(ann, monkeypatch):
    ref = e.running(e.new_session(user_id=ann.pk))
    late = datetime(2026, 3, 29, 23, 30, tzinfo=UTC)
    monkeypatch.setattr("sessions_app.journal.batch.timezone.now", lambda: late)
    with override_settings(TIME_ZONE="Asia/Shanghai"):
        e.commit_one(e.answer(ref))
    (row,) = Usage.objects.values_list("day", flat=True)
    assert row.isoformat() == "2026-03-30"


def test_the_use_of_a_deleted_session_remains(ann):
    ref = e.running(e.new_session(user_id=ann.pk))
    e.commit_one(e.answer(ref))
    e.commit_one(DeleteSession(session_id=ref.session_id))
    assert used(ann) == (10, 5, 1)


def test_the_call_of_a_model_that_is_broken_off_is_estimated(ann):
    """Whoever stops every answer just before its end does not get them for nothing."""
    session_id = e.new_session(user_id=ann.pk)
    first = e.running(session_id, "x" * 600)
    e.commit(e.thinking(first), e.deltas(first, e.partial(first, "y" * 350), e.partial(first, "z" * 350, index=1)))
    e.commit_one(CancelRuns(session_id=session_id))
    assert used(ann) == (300, 206, 1)
    assert e.run_of(first).output_tokens == 206
    # Later on the session knows what its calls are sent.
    second = e.running(session_id)
    e.commit_one(e.thinking(second))
    e.commit_one(CancelRuns(session_id=session_id))
    assert used(ann) == (600, 206, 2)
    third = e.running(session_id)
    e.commit(e.thinking(third), e.deltas(third, e.partial(third, "y" * 350)))
    e.commit_one(DeleteSession(session_id=session_id))
    assert used(ann) == (900, 312, 3)


def test_nothing_is_estimated_while_no_model_is_asked(ann):
    ref = e.running(e.new_session(user_id=ann.pk))
    e.commit(e.thinking(ref), e.reply(ref, e.call_of()))
    e.post(ref.session_id)
    e.commit_one(CancelRuns(session_id=ref.session_id))
    assert used(ann) == (10, 5, 1)


# --- what may begin ---------------------------------------------------------------------------------------------------


def test_a_used_up_budget_refuses_a_message_and_keeps_its_id(ann):
    session_id = e.new_session(user_id=ann.pk)
    e.post(session_id, message_id="m0")
    reached = Allowance(user_id=ann.pk, reached=Level(scope="user", used=5, limit=5))
    assert e.refusals(e.commit(e.message(session_id, message_id="m1", allowance=reached))) == ["budget_exceeded"]
    assert e.statuses(session_id) == ["running"]
    # What was taken before is no new message.
    assert e.commit_one(e.message(session_id, message_id="m0", allowance=reached)).duplicate
    assert not e.post(session_id, message_id="m1", allowance=Allowance(user_id=ann.pk)).duplicate


def test_runs_at_once_are_those_of_other_sessions(ann):
    allowance = Allowance(user_id=ann.pk, max_runs=2)
    first, second, third = (e.new_session(user_id=ann.pk) for _ in range(3))
    entries = [e.message(session_id, allowance=allowance) for session_id in (first, second, third, first)]
    # In one batch, too; what waits behind its own session's run takes no further place.
    assert e.refusals(e.commit(*entries)) == [None, None, "too_many_runs", None]
    assert e.post(e.new_session(user_id=User.objects.create_user("bob").pk)).begun is not None
    e.commit_one(CancelRuns(session_id=second))
    assert e.refusals(e.commit(e.message(third, allowance=allowance))) == [None]
    assert e.refusals(e.commit(e.message(second, allowance=allowance, message_id="again"))) == ["too_many_runs"]
    e.commit_one(CancelRuns(session_id=first))
    assert e.refusals(e.commit(e.message(second, allowance=allowance, message_id="again"))) == [None]


def test_no_runs_at_all(ann):
    session_id = e.new_session(user_id=ann.pk)
    assert e.refusals(e.commit(e.message(session_id, allowance=Allowance(user_id=ann.pk, max_runs=0)))) == [
        "too_many_runs"
    ]


def test_messages_per_minute_are_counted_for_all_sessions_of_the_user(ann, monkeypatch):
    now = timezone.now()
    monkeypatch.setattr("sessions_app.journal.batch.timezone.now", lambda: now)
    allowance = Allowance(user_id=ann.pk, messages_per_minute=2)
    sessions = [e.new_session(user_id=ann.pk) for _ in range(3)]
    outcomes = e.commit(*(e.message(session_id, message_id="m", allowance=allowance) for session_id in sessions))
    assert e.refusals(outcomes) == [None, None, "too_many_messages"]
    assert outcomes[2].data == {"limit": 2, "retry_after": 30}
    assert e.refusals(e.commit(e.message(sessions[2], message_id="m", allowance=allowance))) == ["too_many_messages"]
    now += timedelta(seconds=30)
    assert e.refusals(e.commit(*(e.message(sessions[2], message_id=name, allowance=allowance) for name in "mn"))) == [
        None,
        "too_many_messages",
    ]
    assert Pace.objects.count() == 1


def test_a_message_that_is_refused_for_another_reason_does_not_count(ann):
    allowance = Allowance(user_id=ann.pk, messages_per_minute=1, max_runs=1)
    session_id = e.new_session(user_id=ann.pk)
    e.post(session_id)
    entry = e.message(session_id, allowance=allowance, when_busy="reject")
    assert e.refusals(e.commit(entry)) == ["session_busy"]
    other = e.message(e.new_session(user_id=ann.pk), allowance=allowance)
    assert e.refusals(e.commit(other)) == ["too_many_runs"]
    assert e.refusals(e.commit(e.message(session_id, allowance=allowance))) == [None]


# --- several writers --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_processes_add_up_and_never_deadlock():
    """Two writers on the same users' rows, met in opposite order by their batches."""
    users = [User.objects.create_user(name) for name in ("ann", "bob")]
    rounds, trouble = 15, []
    begin = threading.Barrier(2)

    def work(order: list[User]) -> None:
        try:
            for _ in range(rounds):
                refs = [e.running(e.new_session(user_id=user.pk)) for user in order]
                begin.wait(60)
                e.commit(*map(e.answer, refs))
        except Exception as error:  # noqa: BLE001 - told below, in the thread of the test
            trouble.append(error)
            begin.abort()
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(order,)) for order in (users, users[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    assert [used(user) for user in users] == [(20 * rounds, 10 * rounds, 2 * rounds)] * 2


@pytest.mark.django_db(transaction=True)
def test_processes_cannot_begin_one_run_too_many_at_the_same_moment():
    """Each sees the other's run although neither is committed when both ask: they ask one after the other."""
    ann = User.objects.create_user("ann")
    allowance = Allowance(user_id=ann.pk, max_runs=1, messages_per_minute=1000)
    sessions = [e.new_session(user_id=ann.pk) for _ in range(2)]
    begin, outcomes = threading.Barrier(2), {}

    def work(number: int) -> None:
        try:
            for attempt in range(10):
                begin.wait(60)
                (outcomes[attempt, number],) = e.refusals(e.commit(e.message(sessions[number], allowance=allowance)))
                begin.wait(60)
                e.commit_one(CancelRuns(session_id=sessions[number]))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 20
    for attempt in range(10):
        assert {outcomes[attempt, 0], outcomes[attempt, 1]} == {None, ErrorCode.TOO_MANY_RUNS}, attempt
