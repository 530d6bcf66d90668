"""What is read of conversations."""

import uuid

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from sessions_app import queries
from sessions_app.journal.entries.ownership import Lease
from sessions_app.journal.entries.sessions import AnswerConfirmation, CloseSession
from sessions_app.models import Run, Session
from tests.support.factories import (
    LEASE,
    answer,
    assert_model_takes,
    call_of,
    commit,
    commit_one,
    database,
    deltas,
    lapse,
    new_session,
    partial,
    post,
    question,
    reply,
    result,
    running,
)

pytestmark = database


@pytest.fixture
def session():
    return new_session()


@pytest.fixture
def ann():
    return get_user_model().objects.create_user("ann")


def listed(user, agents=("tester",), query=None, before=None, limit=10):
    page, mark = queries.sessions_of(user.pk, agents=agents, query=query, before=before, limit=limit)
    return [row["session_id"] for row in page], mark


def test_the_facts_of_a_session(session, ann):
    assert queries.session_facts(session, ann.pk) == queries.SessionFacts(session, "tester", 1)
    own = new_session(user_id=ann.pk)
    assert queries.session_facts(own, ann.pk) == queries.SessionFacts(own, "tester", 1)
    assert queries.session_facts(own, None) is None
    assert queries.session_facts(uuid.uuid4(), ann.pk) is None


def test_a_log_is_read_page_by_page(session):
    ref = running(session)
    commit_one(deltas(ref, *(partial(ref, "x", index) for index in range(5))))
    assert [seq for seq, _frame in queries.events_after(session, 0, limit=3)] == [1, 2, 3]
    assert [seq for seq, _frame in queries.events_after(session, 3)] == [4, 5, 6, 7]
    assert queries.events_after(session, 7) == []
    assert queries.events_after(uuid.uuid4(), 0) == []


def test_the_ends_of_many_logs(session, monkeypatch):
    monkeypatch.setattr(queries, "_IDS_PER_QUERY", 2)
    others = [new_session() for _ in range(4)]
    post(others[0])
    found = queries.last_seqs([session, *others, uuid.uuid4()])
    assert found == {session: 1, others[0]: 2, **dict.fromkeys(others[1:], 1)}


def test_what_goes_on_at_the_end_of_a_log(session):
    assert queries.end_of_log(session) == (1, "idle")
    ref, call = running(session), call_of(waits=True)
    post(session)
    assert queries.end_of_log(session)[1] == "running"
    commit(reply(ref, call), question(ref, call))
    assert queries.end_of_log(session)[1] == "waiting"
    other = new_session()
    post(other, lease=None)
    assert queries.end_of_log(other) == (2, "queued")
    with pytest.raises(queries.SessionGone):
        queries.end_of_log(uuid.uuid4())


def test_the_conversation_of_a_session_that_is_gone():
    with pytest.raises(queries.SessionGone):
        queries.conversation(uuid.uuid4())


def test_a_conversation_has_its_messages_in_order_and_the_users_name(ann):
    session = new_session(user_id=ann.pk)
    commit_one(answer(running(session, "one"), "1"))
    running(session, "two")
    post(session, "waits")
    conversation = queries.conversation(session)
    assert [message.text for message in conversation.messages] == ["one", "1", "two"]
    assert (conversation.state, conversation.username) == ({}, "ann")
    assert queries.conversation(new_session()).username is None


@pytest.mark.parametrize("limit", range(1, 8))
def test_a_long_history_is_cut_where_the_model_takes_it(session, monkeypatch, limit):
    monkeypatch.setattr(queries, "_HISTORY_LIMIT", limit)
    ref, calls = running(session, "one"), [call_of(0), call_of(1)]
    first = commit_one(reply(ref, *calls))
    commit(*(result(ref, call, first) for call in calls))
    commit_one(answer(ref, "1"))
    running(session, "two")
    messages = queries.conversation(session).messages
    assert messages[-1].text == "two"
    assert_model_takes(messages)


def test_the_news_of_runs(session):
    ref, call = running(session), call_of(waits=True)
    ask = question(ref, call)
    commit(reply(ref, call), ask)
    assert queries.run_news([ref.run_id]) == {ref.run_id: queries.RunNews(1, {})}
    said = AnswerConfirmation(session_id=session, step_id=ask.step_id, answer={"confirmed": True}, by="", origin="c")
    commit(said)
    assert queries.run_news([ref.run_id, uuid.uuid4()]) == {
        ref.run_id: queries.RunNews(1, {ask.step_id: {"confirmed": True}})
    }
    commit_one(CloseSession(session_id=session))
    assert queries.run_news([ref.run_id])[ref.run_id].epoch == 2


def test_what_may_begin_is_what_waits_behind_nothing_oldest_first(session):
    running(session)
    post(session)
    first, second = new_session(), new_session()
    post(first, lease=None), post(second, lease=None), post(first, lease=None)
    assert queries.startable_sessions(10, ["tester"]) == [(first, "tester"), (second, "tester")]
    assert queries.startable_sessions(1, ["tester"]) == [(first, "tester")]


def test_agents_that_are_not_here_keep_no_others_from_beginning():
    for _ in range(5):
        post(new_session(agent="elsewhere"), lease=None)
    here = new_session()
    post(here, lease=None)
    assert queries.startable_sessions(1, ["tester"]) == [(here, "tester")]


def test_agents_with_few_places_or_none_keep_no_others_waiting():
    waiting = {agent: [new_session(agent=agent) for _ in range(3)] for agent in ("full", "rare", "tester")}
    for sessions in zip(*waiting.values(), strict=True):
        for session_id in sessions:
            post(session_id, lease=None)
    found = queries.startable_sessions(3, list(waiting), {"full": 0, "rare": 1})
    assert found == [(waiting["rare"][0], "rare"), *((pk, "tester") for pk in waiting["tester"][:2])]


def test_only_what_goes_on_takes_a_place(session):
    running(session), running(new_session(agent="other"))
    post(session), commit(answer(running(new_session())))
    assert queries.going_of(["tester", "nobody"]) == {"tester": 1}
    assert queries.going_of(["tester", "other"]) == {"tester": 1, "other": 1}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="others plan by what is in the tables")
def test_few_runs_that_go_on_are_found_without_looking_at_all_of_them():
    going = Run.objects.filter(status=Run.Status.RUNNING, finished_at=None).values_list("session__agent")
    for rows in (Run.objects.active(), Run.objects.unfinished(), going):
        assert "USING INDEX run_unfinished" in rows.explain()


def test_runs_that_nobody_works_on(session):
    ref, lapsed, mine = running(session), running(new_session()), running(new_session())
    of_dead = running(new_session(), lease=Lease("dead", 60))
    lapse(lapsed), lapse(mine)
    elsewhere = running(new_session(agent="elsewhere"))
    lapse(elsewhere)
    found = {run.id: run for run in queries.lapsed_runs([mine.run_id], ["dead"], ["tester"])}
    assert set(found) == {lapsed.run_id, of_dead.run_id}
    assert ref.run_id not in found
    assert found[of_dead.run_id] == queries.LapsedRun(of_dead.session_id, of_dead.run_id, 1, 1, "tester", "dead")
    assert set(queries.active_owners()) == {LEASE.owner, "dead"}


def test_a_list_has_ones_own_sessions_newest_first(ann, session):
    mine = [new_session(user_id=ann.pk) for _ in range(3)]
    new_session(user_id=ann.pk, agent="other")
    post(mine[0])
    assert listed(ann) == ([str(mine[index]) for index in (0, 2, 1)], None)
    assert listed(ann, agents=[]) == ([], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_of_a_list_hold_everything_once(ann, limit):
    mine = [str(new_session(user_id=ann.pk)) for _ in range(5)]
    Session.objects.update(active_at=Session.objects.first().active_at)  # all at the same moment
    seen, mark = [], None
    for _ in range(6):
        page, mark = listed(ann, before=mark, limit=limit)
        seen += page
        if mark is None:
            break
    assert sorted(seen) == sorted(mine)


@pytest.mark.parametrize(
    "before",
    [
        "x",
        "|",
        "2026-01-01T00:00:00+00:00|x",
        "2026-01-01T00:00:00|00000000-0000-4000-8000-000000000000",
        "0001-01-01T00:00:00+23:59|00000000-0000-4000-8000-000000000000",
    ],
)
def test_a_mark_that_no_page_ended_with(ann, before):
    with pytest.raises(ValueError):
        listed(ann, before=before)


def test_sessions_are_found_by_title_and_by_what_was_said(ann):
    first, second = new_session(user_id=ann.pk, title="Weather 100%"), new_session(user_id=ann.pk)
    post(second, "Is it weather? 50_50")
    assert set(listed(ann, query="weather")[0]) == {str(first), str(second)}
    assert listed(ann, query="100%")[0] == [str(first)]
    assert listed(ann, query="50_50")[0] == [str(second)]
    assert listed(ann, query="5__50")[0] == []


def test_a_line_of_the_list(ann):
    session = new_session(user_id=ann.pk)
    running(session, "hello")
    post(session)
    (row,), _mark = queries.sessions_of(ann.pk, agents=["tester"], query=None, before=None, limit=5)
    assert row.keys() == {
        "session_id", "agent", "title", "status", "last_seq", "run_status", "created_at", "active_at",
    }  # fmt: skip
    assert (row["title"], row["status"], row["run_status"], row["last_seq"]) == ("hello", "open", "running", 3)
