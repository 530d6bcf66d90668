"""The line of the log that tells how a run ended, what it cost and how long it took."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from myagent.llm import Usage
from sessions_app.journal import commit as journal
from sessions_app.journal.entries.recovery import MAX_ATTEMPTS, RecoverRun
from sessions_app.journal.entries.sessions import CancelRuns, CloseSession, DeleteSession
from sessions_app.journal.run_log import RunEnd, log_end
from sessions_app.models import Run
from tests.support.entries import (
    LEASE,
    USAGE,
    call_of,
    commit_one,
    database,
    message,
    new_session,
    post,
    reply,
    running,
)

SESSION = uuid.UUID("0f5a7d7c-98bd-4a8c-9c51-7bb2bb0e8f11")
RUN = uuid.UUID("6b0ad1f5-0c3d-4c35-8f1a-02a76d7ce5a4")


def end(**changes) -> RunEnd:
    facts = {
        "session_id": SESSION,
        "run_id": RUN,
        "agent": "weather",
        "user": "ada",
        "outcome": "answer",
        "steps": 2,
        "tool_calls": 1,
        "usage": Usage(120, 20, 2),
        "seconds": 2.104,
    }
    return RunEnd(**(facts | changes))


def lines(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "myagent.runs"]


def test_all_that_an_operator_asks_for_is_in_one_line(caplog):
    caplog.set_level(logging.INFO, "sessions_app")
    log_end(end(), model="gpt-4o-mini")
    assert lines(caplog) == [
        f"Run ended: outcome=answer agent=weather model=gpt-4o-mini user=ada session=0f5a7d7c run={RUN} steps=2 "
        "tool_calls=1 model_calls=2 tokens_in=120 tokens_out=20 seconds=2.10"
    ]


@pytest.mark.parametrize(
    ("priced_tokens", "ending"), [(140, "seconds=2.10 cost=0.00000007 currency=USD"), (120, "seconds=2.10")]
)
def test_a_cost_is_told_where_all_of_it_is_known(caplog, priced_tokens, ending):
    caplog.set_level(logging.INFO, "sessions_app")
    log_end(end(usage=Usage(120, 20, 2, cost_nanos=70, priced_tokens=priced_tokens, currency="USD")), model="m")
    assert lines(caplog)[0].endswith(ending)


def test_what_an_endpoint_tells_of_cache_and_reasoning_is_at_the_end(caplog):
    caplog.set_level(logging.INFO, "sessions_app")
    log_end(end(usage=Usage(120, 20, 2, cached_input_tokens=100, reasoning_tokens=7)), model="gpt-4o-mini")
    (line,) = lines(caplog)
    assert line.endswith(" seconds=2.10 cached_input_tokens=100 reasoning_tokens=7")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outcome": "error", "reason": "llm_auth"}, "outcome=error reason=llm_auth agent="),
        ({"user": None}, "user=- session="),
        ({"user": "Ada L"}, "user='Ada L' session="),
        ({"user": "a\nRun ended: outcome=answer"}, r"user='a\nRun ended: outcome=answer' session="),
        ({"agent": "天气"}, "agent=天气 model="),
    ],
)
def test_values_stay_apart(caplog, changes, words):
    caplog.set_level(logging.INFO, "sessions_app")
    log_end(end(**changes), model="m")
    (line,) = lines(caplog)
    assert words in line
    assert "\n" not in line


def test_an_anonymous_session_is_not_given_away(caplog):
    """Whoever knows its id may use it."""
    caplog.set_level(logging.INFO, "sessions_app")
    log_end(end(user=None), model="")
    (line,) = lines(caplog)
    assert str(SESSION) not in line
    assert " model=- " in line


def test_a_quiet_log_stays_quiet(caplog):
    caplog.set_level(logging.WARNING, "sessions_app")
    log_end(end(), model="m")
    assert lines(caplog) == []


# --- runs that others than their owners end ---


def ended(entry) -> list[RunEnd]:
    return journal.commit([entry]).ended


@pytest.fixture
def user():
    return User.objects.create_user("ada")


class TestEndedFromOutside:
    pytestmark = database

    @pytest.mark.parametrize(
        ("entry", "outcome", "reason"),
        [
            (CancelRuns, "cancelled", "user"),
            (CloseSession, "cancelled", "session_closed"),
            (DeleteSession, "deleted", ""),
        ],
    )
    def test_every_run_has_its_end(self, user, entry, outcome, reason):
        session = new_session(user_id=user.pk)
        going = running(session)
        commit_one(reply(going, call_of(0), call_of(1)))
        Run.objects.filter(pk=going.run_id).update(started_at=timezone.now() - timedelta(seconds=60))
        waiting = post(session, "and then?").run_id
        first, second = ended(entry(session_id=session))
        assert (first.run_id, second.run_id) == (going.run_id, waiting)
        assert {(item.outcome, item.reason, item.user, item.agent) for item in (first, second)} == {
            (outcome, reason, "ada", "tester")
        }
        assert (first.steps, first.tool_calls, first.usage) == (1, 2, USAGE)
        assert 60 <= first.seconds < 120
        assert (second.steps, second.tool_calls, second.usage, second.seconds) == (0, 0, Usage(), 0.0)

    def test_a_message_that_takes_the_place_of_another(self):
        session = new_session()
        before = running(session)
        (first,) = ended(message(session, when_busy="interrupt"))
        assert (first.run_id, first.outcome, first.reason, first.user) == (
            before.run_id,
            "cancelled",
            "new_message",
            None,
        )

    def test_a_run_that_is_given_up(self):
        session = new_session()
        ref = running(session)
        Run.objects.filter(pk=ref.run_id).update(attempts=MAX_ATTEMPTS, lease_until=timezone.now())
        recover = RecoverRun(
            session_id=session,
            dead_run_id=ref.run_id,
            epoch=ref.epoch,
            lease=LEASE,
            idempotent=frozenset(),
            dead_owners=[LEASE.owner],
        )
        (given_up,) = ended(recover)
        assert (given_up.outcome, given_up.reason) == ("error", "poisoned")

    def test_nothing_is_over_when_nothing_was_going(self):
        assert ended(CancelRuns(session_id=new_session())) == []
