"""Messages that wait to steer a run: read once, or answered after it, or taken back."""

import uuid

import pytest

from myagent.llm import Usage
from sessions_app import queries
from sessions_app.journal.entries.ownership import ClaimNext
from sessions_app.journal.entries.recovery import RecoverRun
from sessions_app.journal.entries.sessions import CancelRuns
from sessions_app.journal.entries.steering import TakeSteering, WithdrawMessage
from sessions_app.journal.refusal import Refused
from sessions_app.models import Message, Run
from tests.support import entries as e

pytestmark = e.database


def steer(session, words="rather this", message_id="s-1", **options):
    return e.post(session, words, message_id=message_id, when_busy="steer", **options)


def take(ref):
    return e.commit_one(TakeSteering(**e.mine(ref)))


def withdraw(session, message_id):
    return e.commit_one(WithdrawMessage(session_id=session, message_id=message_id))


def said(session):
    return [
        (frame["content"], *e.metadata(frame, "run_id", "message_id"))
        for frame in e.events(session)
        if frame["event"] == "user.message"
    ]


def test_a_run_reads_it_once_behind_the_results_of_its_calls(session):
    ref = e.running(session, "go")
    call = e.call_of()
    first = e.commit_one(e.reply(ref, call))
    posted = steer(session)
    assert (posted.run_id, posted.position, posted.begun, posted.steers) == (ref.run_id, 0, None, True)
    assert e.names(session) == ["user.message", "agent.tool_call"]
    assert queries.run_news([ref.run_id])[ref.run_id].is_steered
    e.commit_one(e.result(ref, call, first))
    assert [message.text for message in take(ref)] == ["rather this"]
    assert take(ref) == []
    assert not queries.run_news([ref.run_id])[ref.run_id].is_steered
    assert said(session)[1:] == [("rather this", str(ref.run_id), "s-1")]
    assert e.history(session) == [("user", "go"), ("assistant", ""), ("tool", "sunny"), ("user", "rather this")]
    assert Run.objects.count() == 1
    e.commit_one(e.answer(ref))
    assert e.statuses(session) == ["succeeded"]


def test_several_are_read_in_their_order_and_what_is_queued_is_not(session):
    ref = e.running(session)
    e.post(session, "queued")
    steer(session, "one", "s-1")
    steer(session, "two", "s-2")
    assert [message.text for message in take(ref)] == ["one", "two"]
    assert e.statuses(session) == ["running", "queued"]


def test_whoever_takes_the_run_over_knows_how_many_messages_it_has_read(session):
    e.commit_one(e.answer(e.running(session, "before")))
    ref = e.running(session, "go")
    steer(session, "one", "s-1")
    steer(session, "unread", "s-2")
    steer(session, "two", "s-3")
    withdraw(session, "s-2")
    take(ref)
    steer(session, "too late", "s-4")
    e.lapse(ref)
    recovered = e.commit_one(
        RecoverRun(session_id=session, dead_run_id=ref.run_id, epoch=ref.epoch, lease=e.LEASE, idempotent=frozenset())
    )
    assert recovered.checkpoint.said == 3


def test_without_an_active_run_it_is_a_message_like_others(session):
    assert steer(session).begun is not None
    e.commit_one(CancelRuns(session_id=session))
    waiting = e.post(session, "waits for a place", lease=None)
    posted = steer(session, message_id="s-2")
    assert (posted.steers, posted.position) == (False, 2)
    assert e.run_of(waiting).status == "queued"


@pytest.mark.parametrize("end", [e.answer, e.failure])
def test_a_run_that_ended_first_leaves_it_as_the_next_message(session, end):
    ref = e.running(session)
    steer(session)
    assert e.commit_one(end(ref)).has_more
    begun = e.commit_one(ClaimNext(session_id=session, lease=e.LEASE))
    assert said(session)[1:] == [("rather this", str(begun.run_id), "s-1")]
    assert e.history(session)[-1] == ("user", "rather this")
    with pytest.raises(Refused, match="stale_run"):
        take(ref)
    again = steer(session)
    assert (again.duplicate, again.run_id, again.steers) == (True, begun.run_id, False)


def test_it_is_taken_once_however_often_it_is_sent(session):
    ref = e.running(session)
    steer(session)
    again = steer(session)
    assert (again.duplicate, again.steers, again.run_id) == (True, True, ref.run_id)
    take(ref)
    again = steer(session)
    assert (again.duplicate, again.run_id) == (True, ref.run_id)
    assert Message.objects.filter(client_id="s-1").count() == 1


def test_one_without_an_id_gets_one(session):
    ref = e.running(session)
    posted = steer(session, message_id=None)
    take(ref)
    assert said(session)[1][2] == posted.message_id != ""


def test_a_cancel_ends_it_too_and_what_was_said_stays(session):
    ref = e.running(session, "go")
    steer(session)
    ended = e.commit_one(CancelRuns(session_id=session))
    assert len(ended) == 2 and ended[0] == ref.run_id
    assert e.names(session) == ["user.message", "agent.interrupted", "user.message", "agent.interrupted"]
    assert e.history(session) == [("user", "go"), ("user", "rather this")]


def test_who_takes_a_run_over_reads_what_the_dead_one_did_not(session):
    ref = e.running(session, "go")
    steer(session, "one", "s-1")
    take(ref)
    steer(session, "two", "s-2")
    e.lapse(ref)
    recovered = e.commit_one(
        RecoverRun(session_id=session, dead_run_id=ref.run_id, epoch=ref.epoch, lease=e.LEASE, idempotent=frozenset())
    )
    assert recovered.checkpoint.usage == Usage()
    assert e.history(session) == [("user", "go"), ("user", "one")]
    assert [message.text for message in take(recovered.ref)] == ["two"]


def test_there_is_room_for_so_many_as_in_the_queue(session):
    e.running(session)
    steer(session, message_id="s-1", max_queued=1)
    with pytest.raises(Refused, match="session_busy"):
        steer(session, message_id="s-2", max_queued=1)


def test_one_that_nobody_has_read_is_taken_back_without_a_trace(session):
    ref = e.running(session)
    steer(session)
    before = e.names(session)
    withdraw(session, "s-1")
    assert take(ref) == []
    assert e.names(session) == before
    assert not Message.objects.filter(client_id="s-1").exists()
    assert e.statuses(session) == ["running"]


def test_a_queued_one_is_taken_back_and_read_by_nobody(session):
    ref = e.running(session, "go")
    waiting = e.post(session, "later", message_id="q-1")
    withdraw(session, "q-1")
    withdraw(session, "q-1")
    assert e.names(session) == ["user.message", "user.message", "agent.interrupted"]
    assert e.metadata(e.events(session)[-1], "run_id", "reason") == (str(waiting.run_id), "withdrawn")
    assert not e.commit_one(e.answer(ref)).has_more
    assert e.history(session) == [("user", "go"), ("assistant", "Done.")]
    assert e.post(session, "later", message_id="q-1").duplicate


def test_what_was_read_cannot_be_taken_back(session):
    ref = e.running(session, message_id="m-1")
    steer(session)
    take(ref)
    for message_id, code in (("m-1", "message_read"), ("s-1", "message_read"), ("none", "message_not_found")):
        with pytest.raises(Refused, match=code):
            withdraw(session, message_id)
    e.commit_one(e.answer(ref))
    with pytest.raises(Refused, match="message_read"):
        withdraw(session, "m-1")
    with pytest.raises(Refused, match="session_not_found"):
        withdraw(uuid.uuid4(), "m-1")


def test_what_is_sent_again_in_the_commit_in_which_it_is_read_is_known_under_its_run(session):
    ref = e.running(session)
    steer(session)
    again = e.message(session, "rather this", message_id="s-1", when_busy="steer")
    read, posted, withdrawn = e.commit(
        TakeSteering(**e.mine(ref)), again, WithdrawMessage(session_id=session, message_id="s-1")
    )
    assert [message.text for message in read] == ["rather this"]
    assert (posted.run_id, posted.duplicate, posted.steers) == (ref.run_id, True, False)
    assert e.refusals([withdrawn]) == ["message_read"]
    assert len(said(session)) == 2
