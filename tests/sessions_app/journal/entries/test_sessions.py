"""What people ask for, committed directly: preconditions, refusals, and races inside one batch."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from sessions_app.journal import commit as journal
from sessions_app.journal.entries.ownership import ClaimNext
from sessions_app.journal.entries.sessions import (
    Acknowledge,
    AnswerConfirmation,
    CancelRuns,
    CloseSession,
    CreateSession,
    DeleteSession,
    UpdateSession,
)
from sessions_app.journal.refusal import Refused
from sessions_app.models import Confirmation, Event, Message, Run, Session, ToolCall
from tests.support import entries as e

pytestmark = e.database


def respond(session_id, step_id, confirmed=True, **extra):
    return AnswerConfirmation(
        session_id=session_id, step_id=step_id, answer={"confirmed": confirmed, **extra}, by="ann", origin="c"
    )


# --- sessions ---


def test_a_new_session_begins_its_log(session):
    (created,) = e.events(session)
    assert created["event"] == "agent.session_created"
    assert e.metadata(created, "agent_name", "connection_id") == ("tester", "c")


def test_an_unknown_session_is_refused():
    nobody = uuid.uuid4()
    entries = [
        e.message(nobody),
        respond(nobody, "step"),
        CancelRuns(session_id=nobody),
        CloseSession(session_id=nobody),
        UpdateSession(session_id=nobody, title="x", metadata=None),
        DeleteSession(session_id=nobody),
        Acknowledge(session_id=nobody, seq=1),
    ]
    assert e.refusals(e.commit(*entries)) == ["session_not_found"] * len(entries)


def test_title_and_metadata_change_one_by_one(session):
    e.commit_one(UpdateSession(session_id=session, title="Weather", metadata=None))
    e.commit_one(UpdateSession(session_id=session, title=None, metadata={"tag": None}))
    row = Session.objects.get(pk=session)
    assert (row.title, row.metadata) == ("Weather", {"tag": None})
    assert [e.metadata(frame, "title", "metadata") for frame in e.events(session)[1:]] == [
        ("Weather", {}),
        ("Weather", {"tag": None}),
    ]


def test_two_changes_in_one_batch_both_hold(session):
    e.commit(
        UpdateSession(session_id=session, title="Weather", metadata=None),
        UpdateSession(session_id=session, title=None, metadata={"a": 1}),
        UpdateSession(session_id=session, title="Climate", metadata=None),
    )
    row = Session.objects.get(pk=session)
    assert (row.title, row.metadata) == ("Climate", {"a": 1})


def test_the_first_message_names_the_session(session):
    e.post(session, "  How is\nthe weather?  " + "x" * 100)
    e.post(session, "another")
    title = Session.objects.get(pk=session).title
    assert title.startswith("How is the weather? xxx")
    assert len(title) == 60


def test_a_title_that_was_given_stays():
    session = e.new_session(title="Mine")
    e.post(session, "hello")
    assert Session.objects.get(pk=session).title == "Mine"


def test_acknowledgements_only_rise_and_stay_within_the_log(session):
    e.commit(Acknowledge(session_id=session, seq=1), Acknowledge(session_id=session, seq=0))
    assert Session.objects.get(pk=session).acked_seq == 1
    e.commit_one(Acknowledge(session_id=session, seq=2**60))
    assert Session.objects.get(pk=session).acked_seq == 1
    e.post(session)
    e.commit_one(Acknowledge(session_id=session, seq=2**60))
    assert Session.objects.get(pk=session).acked_seq == 2


# --- messages ---


def test_a_message_begins_its_run_at_once(session):
    posted = e.post(session, "hello", message_id="m1")
    run = e.run_of(posted)
    assert posted.position == 0
    assert posted.begun is not None
    assert posted.begun.epoch == run.epoch == 1
    assert (run.status, run.attempts, run.owner) == ("running", 1, "owner-of-the-tests")
    assert run.lease_until > timezone.now() + timedelta(seconds=30)
    assert e.history(session) == [("user", "hello")]
    assert e.metadata(e.events(session)[-1], "run_id", "message_id") == (str(posted.run_id), "m1")


def test_content_parts_are_stored_as_they_are(session):
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    e.commit_one(e.message(session, parts))
    row = Message.objects.get()
    assert (row.content, row.parts) == ("what is this?", parts)
    assert row.to_library().content == parts
    assert e.events(session)[-1]["content"] == parts


def test_messages_during_a_run_wait_in_order(session):
    first = e.post(session, "one")
    second, third = e.post(session, "two"), e.post(session, "three")
    assert [posted.position for posted in (first, second, third)] == [0, 1, 2]
    assert (second.begun, third.begun) == (None, None)
    assert e.statuses(session) == ["running", "queued", "queued"]
    assert e.history(session) == [("user", "one")]


def test_messages_of_one_batch_wait_in_order(session):
    ref = e.running(session, "0")
    outcomes = e.commit(*(e.message(session, str(number)) for number in range(1, 6)))
    assert [posted.position for posted in outcomes] == [1, 2, 3, 4, 5]
    for number in range(1, 6):
        e.commit_one(e.answer(ref, f"answer {number - 1}"))
        ref = e.commit_one(ClaimNext(session_id=session, lease=e.LEASE))
    assert [text for role, text in e.history(session) if role == "user"] == list("012345")


def test_without_room_a_message_waits_although_nothing_runs(session):
    first, second = e.post(session, "one", lease=None), e.post(session, "two", lease=None)
    assert (first.begun, second.begun) == (None, None)
    assert (first.position, second.position) == (1, 2)  # 0 would say that it is running
    assert e.statuses(session) == ["queued", "queued"]


def test_the_same_message_id_is_one_message(session):
    first = e.post(session, "one", message_id="m")
    again = e.post(session, "one", message_id="m")
    assert (again.run_id, again.position, again.duplicate, again.begun) == (first.run_id, 0, True, None)
    assert e.names(session) == ["user.message"]


def test_the_same_message_id_twice_in_one_batch_is_one_message(session):
    first, again = e.commit(e.message(session, message_id="m"), e.message(session, message_id="m"))
    assert (first.duplicate, again.duplicate) == (False, True)
    assert again.run_id == first.run_id
    assert Run.objects.count() == 1


def test_a_duplicate_of_a_waiting_message_tells_its_place(session):
    e.post(session)
    waiting = e.post(session, message_id="m")
    e.post(session)
    again = e.post(session, message_id="m")
    assert (again.run_id, again.position, again.duplicate) == (waiting.run_id, 1, True)


def test_message_ids_of_other_sessions_do_not_count(session):
    other = e.new_session()
    outcomes = e.commit(e.message(session, message_id="m"), e.message(other, message_id="m"))
    assert [posted.duplicate for posted in outcomes] == [False, False]


def test_a_full_queue_refuses_and_does_not_use_up_the_message_id(session):
    ref = e.running(session)
    outcomes = e.commit(
        *(e.message(session, str(number), max_queued=2, message_id=f"m{number}") for number in range(3))
    )
    assert e.refusals(outcomes) == [None, None, "session_busy"]
    assert outcomes[2].data == {"reason": "queue_full", "limit": 2}
    e.commit_one(e.answer(ref))
    later = e.post(session, "again", max_queued=3, message_id="m2")
    assert not later.duplicate


def test_reject_refuses_while_a_run_goes_on(session):
    ref = e.running(session)
    with pytest.raises(Refused, match="session_busy") as refused:
        e.post(session, when_busy="reject")
    assert refused.value.data == {"reason": "reject"}
    e.commit_one(e.answer(ref))
    assert e.post(session, when_busy="reject").position == 0


def test_interrupt_ends_what_goes_on_and_what_waits(session):
    ref = e.running(session, "one")
    waiting = e.post(session, "two")
    posted = e.post(session, "three", when_busy="interrupt")
    assert posted.ended == (ref.run_id, waiting.run_id)
    assert posted.begun is not None
    assert e.statuses(session) == ["cancelled", "cancelled", "running"]
    assert e.names(session)[-3:] == ["agent.interrupted", "agent.interrupted", "user.message"]
    assert e.history(session) == [("user", "one"), ("user", "two"), ("user", "three")]
    with pytest.raises(Refused, match="stale_run"):
        e.commit_one(e.answer(ref))


def test_interrupt_ends_a_run_behind_which_nothing_waits(session):
    ref = e.running(session, "one")
    posted = e.post(session, "two", when_busy="interrupt")
    assert posted.ended == (ref.run_id,)
    assert e.statuses(session) == ["cancelled", "running"]


def test_an_end_and_the_next_message_in_one_batch_begin_the_next_run(session):
    ref = e.running(session, "one")
    ended, posted = e.commit(e.answer(ref, "1"), e.message(session, "two"))
    assert not ended.has_more
    assert posted.begun is not None
    assert posted.position == 0
    assert e.statuses(session) == ["succeeded", "running"]
    assert e.history(session) == [("user", "one"), ("assistant", "1"), ("user", "two")]


def test_a_cancel_and_the_next_message_in_one_batch_begin_the_next_run(session):
    e.running(session, "one")
    ended, posted = e.commit(CancelRuns(session_id=session), e.message(session, "two"))
    assert len(ended) == 1
    assert posted.begun is not None
    assert e.statuses(session) == ["cancelled", "running"]


def test_a_closed_session_refuses_new_messages_and_knows_old_ones(session):
    first = e.post(session, message_id="m")
    e.commit_one(CloseSession(session_id=session))
    again, new = e.commit(e.message(session, message_id="m"), e.message(session))
    assert again.run_id == first.run_id
    assert e.refusals([new]) == ["session_closed"]


# --- answers to confirmations ---


@pytest.fixture
def asked(session):
    """A run that waits for an answer: (ref, call, the place of its result, the question)."""
    ref, call = e.running(session), e.call_of(waits=True)
    first = e.commit_one(e.reply(ref, call))
    ask = e.question(ref, call)
    e.commit_one(ask)
    assert e.run_of(ref).status == "waiting"
    return ref, call, first, ask


def test_an_answer_is_logged_and_lets_the_run_go_on(session, asked):
    ref, _call, _first, ask = asked
    assert e.commit_one(respond(session, ask.step_id, args={"city": "X"})) == ref.run_id
    assert e.run_of(ref).status == "running"
    row = Confirmation.objects.get()
    assert (row.answer, row.answered_by) == ({"confirmed": True, "args": {"city": "X"}}, "ann")
    logged = e.events(session)[-1]
    assert (logged["event"], logged["step_id"]) == ("user.response", ask.step_id)
    assert logged["content"] == {"confirmed": True, "args": {"city": "X"}}


def test_only_the_first_of_two_answers_counts(session, asked):
    *_, ask = asked
    outcomes = e.commit(respond(session, ask.step_id, False), respond(session, ask.step_id, True))
    assert e.refusals(outcomes) == [None, "no_pending_confirmation"]
    assert Confirmation.objects.get().answer == {"confirmed": False}
    with pytest.raises(Refused, match="no_pending_confirmation"):
        e.commit_one(respond(session, ask.step_id, True))
    assert e.names(session).count("user.response") == 1


def test_a_question_and_its_answer_fit_into_one_batch(session):
    ref, call = e.running(session), e.call_of(waits=True)
    e.commit_one(e.reply(ref, call))
    ask = e.question(ref, call)
    assert e.refusals(e.commit(ask, respond(session, ask.step_id))) == [None, None]
    assert e.run_of(ref).status == "running"


def test_a_run_waits_until_all_its_questions_are_answered(session):
    ref, calls = e.running(session), [e.call_of(index, waits=True) for index in range(2)]
    e.commit_one(e.reply(ref, *calls))
    asks = [e.question(ref, call) for call in calls]
    e.commit(*asks)
    e.commit_one(respond(session, asks[0].step_id))
    assert e.run_of(ref).status == "waiting"
    e.commit_one(respond(session, asks[1].step_id))
    assert e.run_of(ref).status == "running"


def test_two_questions_answered_in_one_batch_let_the_run_go_on(session):
    ref, calls = e.running(session), [e.call_of(index, waits=True) for index in range(2)]
    asks = [e.question(ref, call) for call in calls]
    e.commit(e.reply(ref, *calls), *asks)
    e.commit(*(respond(session, ask.step_id) for ask in asks))
    assert e.run_of(ref).status == "running"


@pytest.mark.parametrize("ends", [CancelRuns, CloseSession])
def test_an_answer_after_the_end_of_the_run_is_refused(session, asked, ends):
    *_, ask = asked
    outcomes = e.commit(ends(session_id=session), respond(session, ask.step_id))
    assert e.refusals(outcomes) == [None, "no_pending_confirmation"]
    assert Confirmation.objects.get().answer == {"confirmed": False, "answered": False}


def test_an_answer_before_the_cancel_is_kept(session, asked):
    *_, ask = asked
    assert e.refusals(e.commit(respond(session, ask.step_id), CancelRuns(session_id=session))) == [None, None]
    assert Confirmation.objects.get().answer == {"confirmed": True}


def test_an_answer_that_comes_too_late_is_refused(session):
    ref, call = e.running(session), e.call_of(waits=True)
    e.commit_one(e.reply(ref, call))
    ask = e.question(ref, call, timeout=-1)
    e.commit_one(ask)
    with pytest.raises(Refused, match="no_pending_confirmation"):
        e.commit_one(respond(session, ask.step_id))


def test_an_answer_through_another_session_is_refused(session, asked):
    *_, ask = asked
    with pytest.raises(Refused, match="no_pending_confirmation"):
        e.commit_one(respond(e.new_session(), ask.step_id))


# --- cancel, close, delete ---


def test_cancel_with_nothing_going_on_changes_nothing(session):
    assert e.commit_one(CancelRuns(session_id=session)) == []
    assert e.names(session) == []


def test_cancel_ends_the_running_and_the_waiting(session):
    ref = e.running(session, "one")
    waiting = e.post(session, "two")
    assert e.commit_one(CancelRuns(session_id=session)) == [ref.run_id, waiting.run_id]
    interrupted = e.events(session)[-2:]
    assert [e.metadata(frame, "run_id", "reason") for frame in interrupted] == [
        (str(ref.run_id), "user"),
        (str(waiting.run_id), "user"),
    ]
    run = e.run_of(ref)
    assert (run.epoch, run.owner, run.lease_until) == (2, "", None)
    assert e.history(session) == [("user", "one"), ("user", "two")]


def test_of_a_cancel_and_a_final_answer_the_first_one_counts(session):
    ref = e.running(session)
    assert e.refusals(e.commit(CancelRuns(session_id=session), e.answer(ref))) == [None, "stale_run"]
    assert e.names(session) == ["user.message", "agent.interrupted"]
    ref = e.running(session)
    ended, cancelled = e.commit(e.answer(ref), CancelRuns(session_id=session))
    assert (ended.has_more, cancelled) == (False, [])
    assert e.names(session)[2:] == ["user.message", "agent.final_answer"]


def test_after_a_cancel_the_owner_writes_nothing(session):
    ref, call = e.running(session), e.call_of()
    first = e.commit_one(e.reply(ref, call))
    e.commit_one(CancelRuns(session_id=session))
    before = e.names(session)
    stale = [
        e.thinking(ref),
        e.deltas(ref, e.partial(ref, "x")),
        e.result(ref, call, first),
        e.reply(ref, e.call_of(), step=2),
        e.question(ref, call),
        e.answer(ref),
    ]
    assert e.refusals(e.commit(*stale)) == ["stale_run"] * len(stale)
    assert e.names(session) == before


def test_closing_cancels_and_ends_the_session_once(session):
    e.running(session)
    e.commit(CloseSession(session_id=session), CloseSession(session_id=session))
    assert e.names(session) == ["user.message", "agent.interrupted", "agent.session_end"]
    assert Session.objects.get(pk=session).status == "closed"
    assert e.metadata(e.events(session)[-2], "reason") == ("session_closed",)


def test_deleting_leaves_nothing(session, asked):
    ref, *_ = asked
    e.post(session)
    other = e.new_session()
    committed = journal.commit(
        [e.thinking(ref), DeleteSession(session_id=session), e.thinking(ref), e.message(session)]
    )
    assert e.refusals(committed.results) == [None, None, "session_not_found", "session_not_found"]
    assert set(committed.results[1]) >= {ref.run_id}
    assert committed.deleted == [session]
    assert committed.growths == []
    for model in (Run, Message, ToolCall, Confirmation):
        assert not model.objects.exists()
    assert list(Event.objects.values_list("session_id", flat=True)) == [other]
    assert not Session.objects.filter(pk=session).exists()


def test_a_session_can_be_made_and_used_and_deleted_in_one_batch(session):
    fresh = uuid.uuid4()
    create = CreateSession(session_id=fresh, agent="tester", user_id=None, connection_id="c")
    outcomes = e.commit(create, e.message(fresh), CancelRuns(session_id=fresh), DeleteSession(session_id=fresh))
    assert e.refusals(outcomes) == [None] * 4
    assert not Event.objects.filter(session_id=fresh).exists()
