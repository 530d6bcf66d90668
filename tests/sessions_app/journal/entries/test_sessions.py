"""What people ask for, committed directly: preconditions, refusals, and races inside one batch."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from sessions_app.journal import writer as journal
from sessions_app.journal.batch import Refused
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
from sessions_app.models import Confirmation, Event, Message, Run, Session, ToolCall
from tests.support.factories import (
    LEASE,
    answer,
    call_of,
    commit,
    commit_one,
    database,
    deltas,
    events,
    history,
    message,
    metadata,
    names,
    new_session,
    partial,
    post,
    question,
    refusals,
    reply,
    result,
    run_of,
    running,
    statuses,
    thinking,
)

pytestmark = database


def respond(session_id, step_id, confirmed=True, **extra):
    return AnswerConfirmation(
        session_id=session_id, step_id=step_id, answer={"confirmed": confirmed, **extra}, by="ann", origin="c"
    )


@pytest.fixture
def session():
    return new_session()


# --- sessions ---


def test_a_new_session_begins_its_log(session):
    (created,) = events(session)
    assert created["event"] == "agent.session_created"
    assert metadata(created, "agent_name", "connection_id") == ("tester", "c")


def test_an_unknown_session_is_refused():
    nobody = uuid.uuid4()
    entries = [
        message(nobody),
        respond(nobody, "step"),
        CancelRuns(session_id=nobody),
        CloseSession(session_id=nobody),
        UpdateSession(session_id=nobody, title="x", metadata=None),
        DeleteSession(session_id=nobody),
        Acknowledge(session_id=nobody, seq=1),
    ]
    assert refusals(commit(*entries)) == ["session_not_found"] * len(entries)


def test_title_and_metadata_change_one_by_one(session):
    commit_one(UpdateSession(session_id=session, title="Weather", metadata=None))
    commit_one(UpdateSession(session_id=session, title=None, metadata={"tag": None}))
    row = Session.objects.get(pk=session)
    assert (row.title, row.metadata) == ("Weather", {"tag": None})
    assert [metadata(frame, "title", "metadata") for frame in events(session)[1:]] == [
        ("Weather", {}),
        ("Weather", {"tag": None}),
    ]


def test_two_changes_in_one_batch_both_hold(session):
    commit(
        UpdateSession(session_id=session, title="Weather", metadata=None),
        UpdateSession(session_id=session, title=None, metadata={"a": 1}),
        UpdateSession(session_id=session, title="Climate", metadata=None),
    )
    row = Session.objects.get(pk=session)
    assert (row.title, row.metadata) == ("Climate", {"a": 1})


def test_the_first_message_names_the_session(session):
    post(session, "  How is\nthe weather?  " + "x" * 100)
    post(session, "another")
    title = Session.objects.get(pk=session).title
    assert title.startswith("How is the weather? xxx")
    assert len(title) == 60


def test_a_title_that_was_given_stays():
    session = new_session(title="Mine")
    post(session, "hello")
    assert Session.objects.get(pk=session).title == "Mine"


def test_acknowledgements_only_rise_and_stay_within_the_log(session):
    commit(Acknowledge(session_id=session, seq=1), Acknowledge(session_id=session, seq=0))
    assert Session.objects.get(pk=session).acked_seq == 1
    commit_one(Acknowledge(session_id=session, seq=2**60))
    assert Session.objects.get(pk=session).acked_seq == 1
    post(session)
    commit_one(Acknowledge(session_id=session, seq=2**60))
    assert Session.objects.get(pk=session).acked_seq == 2


# --- messages ---


def test_a_message_begins_its_run_at_once(session):
    posted = post(session, "hello", message_id="m1")
    run = run_of(posted)
    assert posted.position == 0
    assert posted.lease is not None
    assert posted.lease.epoch == run.epoch == 1
    assert (run.status, run.attempts, run.owner) == ("running", 1, "owner-of-the-tests")
    assert run.lease_until > timezone.now() + timedelta(seconds=30)
    assert history(session) == [("user", "hello")]
    assert metadata(events(session)[-1], "run_id", "message_id") == (str(posted.run_id), "m1")


def test_content_parts_are_stored_as_they_are(session):
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    commit_one(message(session, parts))
    row = Message.objects.get()
    assert (row.content, row.parts) == ("what is this?", parts)
    assert row.to_library().content == parts
    assert events(session)[-1]["content"] == parts


def test_messages_during_a_run_wait_in_order(session):
    first = post(session, "one")
    second, third = post(session, "two"), post(session, "three")
    assert [posted.position for posted in (first, second, third)] == [0, 1, 2]
    assert (second.lease, third.lease) == (None, None)
    assert statuses(session) == ["running", "queued", "queued"]
    assert history(session) == [("user", "one")]


def test_messages_of_one_batch_wait_in_order(session):
    ref = running(session, "0")
    outcomes = commit(*(message(session, str(number)) for number in range(1, 6)))
    assert [posted.position for posted in outcomes] == [1, 2, 3, 4, 5]
    for number in range(1, 6):
        commit_one(answer(ref, f"answer {number - 1}"))
        ref = commit_one(ClaimNext(session_id=session, lease=LEASE))
    assert [text for role, text in history(session) if role == "user"] == list("012345")


def test_without_room_a_message_waits_although_nothing_runs(session):
    first, second = post(session, "one", lease=None), post(session, "two", lease=None)
    assert (first.lease, second.lease) == (None, None)
    assert (first.position, second.position) == (1, 2)  # 0 would say that it is running
    assert statuses(session) == ["queued", "queued"]


def test_the_same_message_id_is_one_message(session):
    first = post(session, "one", message_id="m")
    again = post(session, "one", message_id="m")
    assert (again.run_id, again.position, again.duplicate, again.lease) == (first.run_id, 0, True, None)
    assert names(session) == ["user.message"]


def test_the_same_message_id_twice_in_one_batch_is_one_message(session):
    first, again = commit(message(session, message_id="m"), message(session, message_id="m"))
    assert (first.duplicate, again.duplicate) == (False, True)
    assert again.run_id == first.run_id
    assert Run.objects.count() == 1


def test_a_duplicate_of_a_waiting_message_tells_its_place(session):
    post(session)
    waiting = post(session, message_id="m")
    post(session)
    again = post(session, message_id="m")
    assert (again.run_id, again.position, again.duplicate) == (waiting.run_id, 1, True)


def test_message_ids_of_other_sessions_do_not_count(session):
    other = new_session()
    outcomes = commit(message(session, message_id="m"), message(other, message_id="m"))
    assert [posted.duplicate for posted in outcomes] == [False, False]


def test_a_full_queue_refuses_and_does_not_use_up_the_message_id(session):
    ref = running(session)
    outcomes = commit(*(message(session, str(number), max_queued=2, message_id=f"m{number}") for number in range(3)))
    assert refusals(outcomes) == [None, None, "session_busy"]
    assert outcomes[2].data == {"reason": "queue_full", "limit": 2}
    commit_one(answer(ref))
    later = post(session, "again", max_queued=3, message_id="m2")
    assert not later.duplicate


def test_reject_refuses_while_a_run_goes_on(session):
    ref = running(session)
    with pytest.raises(Refused, match="session_busy") as refused:
        post(session, when_busy="reject")
    assert refused.value.data == {"reason": "reject"}
    commit_one(answer(ref))
    assert post(session, when_busy="reject").position == 0


def test_interrupt_ends_what_goes_on_and_what_waits(session):
    ref = running(session, "one")
    waiting = post(session, "two")
    posted = post(session, "three", when_busy="interrupt")
    assert posted.ended == (ref.run_id, waiting.run_id)
    assert posted.lease is not None
    assert statuses(session) == ["cancelled", "cancelled", "running"]
    assert names(session)[-3:] == ["agent.interrupted", "agent.interrupted", "user.message"]
    assert history(session) == [("user", "one"), ("user", "two"), ("user", "three")]
    with pytest.raises(Refused, match="stale_run"):
        commit_one(answer(ref))


def test_interrupt_ends_a_run_behind_which_nothing_waits(session):
    ref = running(session, "one")
    posted = post(session, "two", when_busy="interrupt")
    assert posted.ended == (ref.run_id,)
    assert statuses(session) == ["cancelled", "running"]


def test_an_end_and_the_next_message_in_one_batch_begin_the_next_run(session):
    ref = running(session, "one")
    ended, posted = commit(answer(ref, "1"), message(session, "two"))
    assert not ended.has_more
    assert posted.lease is not None
    assert posted.position == 0
    assert statuses(session) == ["succeeded", "running"]
    assert history(session) == [("user", "one"), ("assistant", "1"), ("user", "two")]


def test_a_cancel_and_the_next_message_in_one_batch_begin_the_next_run(session):
    running(session, "one")
    ended, posted = commit(CancelRuns(session_id=session), message(session, "two"))
    assert len(ended) == 1
    assert posted.lease is not None
    assert statuses(session) == ["cancelled", "running"]


def test_a_closed_session_refuses_new_messages_and_knows_old_ones(session):
    first = post(session, message_id="m")
    commit_one(CloseSession(session_id=session))
    again, new = commit(message(session, message_id="m"), message(session))
    assert again.run_id == first.run_id
    assert refusals([new]) == ["session_closed"]


# --- answers to confirmations ---


@pytest.fixture
def asked(session):
    """A run that waits for an answer: (ref, call, the place of its result, the question)."""
    ref, call = running(session), call_of(waits=True)
    first = commit_one(reply(ref, call))
    ask = question(ref, call)
    commit_one(ask)
    assert run_of(ref).status == "waiting"
    return ref, call, first, ask


def test_an_answer_is_logged_and_lets_the_run_go_on(session, asked):
    ref, _call, _first, ask = asked
    assert commit_one(respond(session, ask.step_id, args={"city": "X"})) == ref.run_id
    assert run_of(ref).status == "running"
    row = Confirmation.objects.get()
    assert (row.answer, row.answered_by) == ({"confirmed": True, "args": {"city": "X"}}, "ann")
    logged = events(session)[-1]
    assert (logged["event"], logged["step_id"]) == ("user.response", ask.step_id)
    assert logged["content"] == {"confirmed": True, "args": {"city": "X"}}


def test_only_the_first_of_two_answers_counts(session, asked):
    *_, ask = asked
    outcomes = commit(respond(session, ask.step_id, False), respond(session, ask.step_id, True))
    assert refusals(outcomes) == [None, "no_pending_confirmation"]
    assert Confirmation.objects.get().answer == {"confirmed": False}
    with pytest.raises(Refused, match="no_pending_confirmation"):
        commit_one(respond(session, ask.step_id, True))
    assert names(session).count("user.response") == 1


def test_a_question_and_its_answer_fit_into_one_batch(session):
    ref, call = running(session), call_of(waits=True)
    commit_one(reply(ref, call))
    ask = question(ref, call)
    assert refusals(commit(ask, respond(session, ask.step_id))) == [None, None]
    assert run_of(ref).status == "running"


def test_a_run_waits_until_all_its_questions_are_answered(session):
    ref, calls = running(session), [call_of(index, waits=True) for index in range(2)]
    commit_one(reply(ref, *calls))
    asks = [question(ref, call) for call in calls]
    commit(*asks)
    commit_one(respond(session, asks[0].step_id))
    assert run_of(ref).status == "waiting"
    commit_one(respond(session, asks[1].step_id))
    assert run_of(ref).status == "running"


def test_two_questions_answered_in_one_batch_let_the_run_go_on(session):
    ref, calls = running(session), [call_of(index, waits=True) for index in range(2)]
    asks = [question(ref, call) for call in calls]
    commit(reply(ref, *calls), *asks)
    commit(*(respond(session, ask.step_id) for ask in asks))
    assert run_of(ref).status == "running"


@pytest.mark.parametrize("ends", [CancelRuns, CloseSession])
def test_an_answer_after_the_end_of_the_run_is_refused(session, asked, ends):
    *_, ask = asked
    outcomes = commit(ends(session_id=session), respond(session, ask.step_id))
    assert refusals(outcomes) == [None, "no_pending_confirmation"]
    assert Confirmation.objects.get().answer == {"confirmed": False, "answered": False}


def test_an_answer_before_the_cancel_is_kept(session, asked):
    *_, ask = asked
    assert refusals(commit(respond(session, ask.step_id), CancelRuns(session_id=session))) == [None, None]
    assert Confirmation.objects.get().answer == {"confirmed": True}


def test_an_answer_that_comes_too_late_is_refused(session):
    ref, call = running(session), call_of(waits=True)
    commit_one(reply(ref, call))
    ask = question(ref, call, timeout=-1)
    commit_one(ask)
    with pytest.raises(Refused, match="no_pending_confirmation"):
        commit_one(respond(session, ask.step_id))


def test_an_answer_through_another_session_is_refused(session, asked):
    *_, ask = asked
    with pytest.raises(Refused, match="no_pending_confirmation"):
        commit_one(respond(new_session(), ask.step_id))


# --- cancel, close, delete ---


def test_cancel_with_nothing_going_on_changes_nothing(session):
    assert commit_one(CancelRuns(session_id=session)) == []
    assert names(session) == []


def test_cancel_ends_the_running_and_the_waiting(session):
    ref = running(session, "one")
    waiting = post(session, "two")
    assert commit_one(CancelRuns(session_id=session)) == [ref.run_id, waiting.run_id]
    interrupted = events(session)[-2:]
    assert [metadata(frame, "run_id", "reason") for frame in interrupted] == [
        (str(ref.run_id), "user"),
        (str(waiting.run_id), "user"),
    ]
    run = run_of(ref)
    assert (run.epoch, run.owner, run.lease_until) == (2, "", None)
    assert history(session) == [("user", "one"), ("user", "two")]


def test_of_a_cancel_and_a_final_answer_the_first_one_counts(session):
    ref = running(session)
    assert refusals(commit(CancelRuns(session_id=session), answer(ref))) == [None, "stale_run"]
    assert names(session) == ["user.message", "agent.interrupted"]
    ref = running(session)
    ended, cancelled = commit(answer(ref), CancelRuns(session_id=session))
    assert (ended.has_more, cancelled) == (False, [])
    assert names(session)[2:] == ["user.message", "agent.final_answer"]


def test_after_a_cancel_the_owner_writes_nothing(session):
    ref, call = running(session), call_of()
    first = commit_one(reply(ref, call))
    commit_one(CancelRuns(session_id=session))
    before = names(session)
    stale = [
        thinking(ref),
        deltas(ref, partial(ref, "x")),
        result(ref, call, first),
        reply(ref, call_of(), step=2),
        question(ref, call),
        answer(ref),
    ]
    assert refusals(commit(*stale)) == ["stale_run"] * len(stale)
    assert names(session) == before


def test_closing_cancels_and_ends_the_session_once(session):
    running(session)
    commit(CloseSession(session_id=session), CloseSession(session_id=session))
    assert names(session) == ["user.message", "agent.interrupted", "agent.session_end"]
    assert Session.objects.get(pk=session).status == "closed"
    assert metadata(events(session)[-2], "reason") == ("session_closed",)


def test_deleting_leaves_nothing(session, asked):
    ref, *_ = asked
    post(session)
    other = new_session()
    committed = journal.commit([thinking(ref), DeleteSession(session_id=session), thinking(ref), message(session)])
    assert refusals(committed.outcomes) == [None, None, "session_not_found", "session_not_found"]
    assert set(committed.outcomes[1]) >= {ref.run_id}
    assert committed.deleted == [session]
    assert committed.growths == []
    for model in (Run, Message, ToolCall, Confirmation):
        assert not model.objects.exists()
    assert list(Event.objects.values_list("session_id", flat=True)) == [other]
    assert not Session.objects.filter(pk=session).exists()


def test_a_session_can_be_made_and_used_and_deleted_in_one_batch(session):
    fresh = uuid.uuid4()
    create = CreateSession(session_id=fresh, agent="tester", user_id=None, connection_id="c")
    outcomes = commit(create, message(fresh), CancelRuns(session_id=fresh), DeleteSession(session_id=fresh))
    assert refusals(outcomes) == [None] * 4
    assert not Event.objects.filter(session_id=fresh).exists()
