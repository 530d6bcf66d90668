"""What is read of conversations."""

import uuid

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from sessions_app import queries
from sessions_app.delivery import log_pages
from sessions_app.delivery.log_pages import events_after
from sessions_app.journal.entries.ownership import Lease
from sessions_app.journal.entries.sessions import AnswerConfirmation, CloseSession
from sessions_app.models import Event, Run
from tests.support import entries as e

pytestmark = e.database


@pytest.fixture
def ann():
    return get_user_model().objects.create_user("ann")


def test_the_facts_of_a_session(session, ann):
    assert queries.session_facts(session, ann.pk) == queries.SessionFacts(session, "tester", 1)
    own = e.new_session(user_id=ann.pk)
    assert queries.session_facts(own, ann.pk) == queries.SessionFacts(own, "tester", 1)
    assert queries.session_facts(own, None) is None
    assert queries.session_facts(uuid.uuid4(), ann.pk) is None


def test_a_log_is_read_page_by_page(session):
    ref = e.running(session)
    e.commit_one(e.deltas(ref, *(e.partial(ref, "x", index) for index in range(5))))
    assert numbers(events_after(session, 0, limit=3)) == ([1, 2, 3], False)
    assert numbers(events_after(session, 3)) == ([4, 5, 6, 7], True)
    assert numbers(events_after(session, 3, limit=4)) == ([4, 5, 6, 7], True)
    assert events_after(session, 7) == events_after(uuid.uuid4(), 0) == ([], True)


def numbers(page):
    return [seq for seq, _frame in page.events], page.is_last


def test_a_page_has_so_many_bytes_or_one_event(session, monkeypatch):
    monkeypatch.setattr(log_pages, "PAGE_BYTES", 3_000)
    monkeypatch.setattr(log_pages, "LONG_BYTES", 1_000)
    ref = e.running(session)
    texts = ["short", "x" * 1_200, "short", "y" * 5_000, "z" * 5_000, "short"]
    e.commit_one(e.deltas(ref, *(e.partial(ref, text, index) for index, text in enumerate(texts))))
    pages, after, is_last = [], 2, False
    while not is_last:
        events, is_last = events_after(session, after)
        pages.append([seq for seq, _frame in events])
        assert all(texts[seq - 3] in frame for seq, frame in events)
        after = events[-1][0]
    assert pages == [[3, 4, 5], [6], [7], [8]]


def test_what_is_deleted_while_a_page_is_read_hides_nothing_behind_it(session, monkeypatch):
    if connection.vendor == "sqlite":  # whose older releases lack what PostgreSQL has
        connection.connection.create_function("OCTET_LENGTH", 1, lambda text: len(text.encode()))
    monkeypatch.setattr(log_pages, "LONG_BYTES", 1_000)
    ref = e.running(session)
    texts = ["short", "x" * 1_200, "y" * 1_200, "z" * 1_200, "short"]
    e.commit_one(e.deltas(ref, *(e.partial(ref, text, index) for index, text in enumerate(texts))))
    reading = log_pages._read_by_size(session, 2, 3)
    assert next(reading)[0] == 3
    Event.objects.filter(session_id=session, seq__in=(4, 5)).delete()
    assert [seq for seq, _frame in reading] == [6, 7]


def test_the_ends_of_many_logs(session, monkeypatch):
    monkeypatch.setattr(queries, "_IDS_PER_QUERY", 2)
    others = [e.new_session() for _ in range(4)]
    e.post(others[0])
    found = queries.last_seqs([session, *others, uuid.uuid4()])
    assert found == {session: 1, others[0]: 2, **dict.fromkeys(others[1:], 1)}


def test_what_goes_on_at_the_end_of_a_log(session):
    assert queries.end_of_log(session) == (1, "idle")
    ref, call = e.running(session), e.call_of(waits=True)
    e.post(session)
    assert queries.end_of_log(session)[1] == "running"
    e.commit(e.reply(ref, call), e.question(ref, call))
    assert queries.end_of_log(session)[1] == "waiting"
    other = e.new_session()
    e.post(other, lease=None)
    assert queries.end_of_log(other) == (2, "queued")
    with pytest.raises(queries.SessionGone):
        queries.end_of_log(uuid.uuid4())


def test_the_conversation_of_a_session_that_is_gone():
    with pytest.raises(queries.SessionGone):
        queries.conversation(uuid.uuid4())


def test_a_conversation_has_its_messages_in_order_and_the_users_name(ann):
    session = e.new_session(user_id=ann.pk)
    e.commit_one(e.answer(e.running(session, "one"), "1"))
    e.running(session, "two")
    e.post(session, "waits")
    conversation = queries.conversation(session)
    assert [message.text for message in conversation.messages] == ["one", "1", "two"]
    assert (conversation.state, conversation.username) == ({}, "ann")
    assert queries.conversation(e.new_session()).username is None


@pytest.mark.parametrize("limit", range(1, 8))
def test_a_long_history_is_cut_where_the_model_takes_it(session, monkeypatch, limit):
    monkeypatch.setattr(queries, "_HISTORY_LIMIT", limit)
    ref, calls = e.running(session, "one"), [e.call_of(0), e.call_of(1)]
    first = e.commit_one(e.reply(ref, *calls))
    e.commit(*(e.result(ref, call, first) for call in calls))
    e.commit_one(e.answer(ref, "1"))
    e.running(session, "two")
    messages = queries.conversation(session).messages
    assert messages[-1].text == "two"
    e.assert_model_takes(messages)


def test_which_session_has_a_run_and_which_run_is_its_newest(session):
    assert queries.newest_run(session) is None
    first = e.running(session)
    assert queries.session_of_run(first.run_id, None) == queries.session_facts(session, None)
    e.commit(e.answer(first))
    second = e.running(session)
    assert queries.newest_run(session) == second.run_id
    ann = get_user_model().objects.create_user("ann")
    hers = e.running(e.new_session(user_id=ann.pk))
    assert queries.session_of_run(hers.run_id, ann.pk) is not None
    assert queries.session_of_run(hers.run_id, None) is queries.session_of_run(uuid.uuid4(), ann.pk) is None


def test_the_news_of_runs(session):
    ref, call = e.running(session), e.call_of(waits=True)
    ask = e.question(ref, call)
    e.commit(e.reply(ref, call), ask)
    assert queries.run_news([ref.run_id]) == {ref.run_id: queries.RunNews(1, {}, is_steered=False)}
    said = AnswerConfirmation(session_id=session, step_id=ask.step_id, answer={"confirmed": True}, by="", origin="c")
    e.commit(said)
    assert queries.run_news([ref.run_id, uuid.uuid4()]) == {
        ref.run_id: queries.RunNews(1, {ask.step_id: {"confirmed": True}}, is_steered=False)
    }
    e.commit_one(CloseSession(session_id=session))
    assert queries.run_news([ref.run_id])[ref.run_id].epoch == 2


def test_only_what_goes_on_takes_a_place(session):
    e.running(session), e.running(e.new_session(agent="other"))
    e.post(session), e.commit(e.answer(e.running(e.new_session())))
    assert queries.going_of(["tester", "nobody"]) == {"tester": 1}
    assert queries.going_of(["tester", "other"]) == {"tester": 1, "other": 1}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="others plan by what is in the tables")
def test_few_runs_that_go_on_are_found_without_looking_at_all_of_them():
    going = Run.objects.filter(status=Run.Status.RUNNING, finished_at=None).values_list("session__agent")
    for rows in (Run.objects.active(), Run.objects.unfinished(), going):
        assert "USING INDEX run_unfinished" in rows.explain()


def test_runs_that_nobody_works_on(session):
    ref, lapsed, mine = e.running(session), e.running(e.new_session()), e.running(e.new_session())
    of_dead = e.running(e.new_session(), lease=Lease("dead", 60))
    e.lapse(lapsed), e.lapse(mine)
    elsewhere = e.running(e.new_session(agent="elsewhere"))
    e.lapse(elsewhere)
    found = {run.id: run for run in queries.lapsed_runs([mine.run_id], ["dead"], ["tester"])}
    assert set(found) == {lapsed.run_id, of_dead.run_id}
    assert ref.run_id not in found
    assert found[of_dead.run_id] == queries.LapsedRun(of_dead.session_id, of_dead.run_id, 1, 1, "tester", "dead")
    assert set(queries.active_owners()) == {e.LEASE.owner, "dead"}
