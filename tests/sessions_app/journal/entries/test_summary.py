"""Summaries as they are stored, and the conversation as a run reads it then."""

from __future__ import annotations

import pytest

from myagent.events import HistorySummarized
from myagent.llm import Usage
from sessions_app import queries
from sessions_app.journal.entries.runs import StoreSummary
from sessions_app.journal.entries.sessions import CancelRuns, DeleteSession
from sessions_app.models import Message, Summary
from tests.support import entries as e

pytestmark = e.database


@pytest.fixture
def session():
    """A session with three answered messages, the second of them with a tool."""
    session_id = e.new_session()
    for number in range(3):
        ref = e.running(session_id, f"question {number}")
        if number == 1:
            call = e.call_of()
            e.commit_one(e.result(ref, call, e.commit_one(e.reply(ref, call))))
        e.commit_one(e.answer(ref, f"answer {number}"))
    return session_id


def summary(ref, count, text="minutes", after=0):
    summarized = HistorySummarized(count=count, text=text, usage=Usage(100, 20, 1))
    return StoreSummary(**e.mine(ref), summarized=summarized, after=after)


def read(session_id, *, summarized=True):
    found = queries.conversation(session_id, summarized=summarized)
    return found.summary, found.starts_after, [message.text for message in found.messages]


def test_the_summary_stands_for_what_it_covers_and_nothing_is_deleted(session):
    before = e.history(session)
    ref = e.running(session, "and now?")
    assert e.commit_one(summary(ref, 6)) == 6
    assert read(session) == ("minutes", 6, ["question 2", "answer 2", "and now?"])
    assert read(session, summarized=False)[0] == ""
    assert e.history(session) == [*before, ("user", "and now?")]
    stored = Summary.objects.get()
    assert (stored.session_id, stored.upto_position, stored.content) == (session, 6, "minutes")


def test_what_a_summary_costs_is_the_runs(session):
    ref = e.running(session)
    e.commit_one(summary(ref, 2))
    run = e.run_of(ref)
    assert (run.input_tokens, run.output_tokens, run.llm_calls) == (100, 20, 1)


def test_a_newer_summary_counts_from_where_the_older_one_ends(session):
    ref = e.running(session, "and now?")
    e.commit_one(summary(ref, 2, "older"))
    found = queries.conversation(session, summarized=True)
    assert found.starts_after == 2
    assert e.commit_one(summary(ref, 4, "newer", after=found.starts_after)) == 6
    assert read(session) == ("newer", 6, ["question 2", "answer 2", "and now?"])
    assert Summary.objects.count() == 2


def test_a_run_remembers_what_the_database_would_say(session):
    ref = e.running(session, "and now?")
    found = queries.conversation(session, summarized=True)
    found.take_summary("minutes", 2, e.commit_one(summary(ref, 2)))
    assert found == queries.conversation(session, summarized=True)


def test_positions_need_not_be_without_gaps(session):
    Message.objects.filter(session_id=session, position=1).delete()
    ref = e.running(session, "and now?")
    found = queries.conversation(session, summarized=True)
    assert found.starts_after == 1
    assert e.commit_one(summary(ref, 5, after=found.starts_after)) == 6


def test_a_stale_owner_stores_no_summary(session):
    ref = e.running(session)
    e.commit_one(CancelRuns(session_id=session))
    assert e.refusals(e.commit(summary(ref, 2))) == ["stale_run"]
    assert not Summary.objects.exists()


def test_it_goes_with_its_session(session):
    ref = e.running(session)
    e.commit(summary(ref, 2), DeleteSession(session_id=session))
    assert not Summary.objects.exists()
