"""A run that ends before its answer: what stays of it, and that the conversation can go on."""

import pytest

from myagent.protocol.server_events import StepResetMetadata, StepVoided, Thinking, ThinkingMetadata
from sessions_app.journal.entries.runs import LogEvents
from sessions_app.journal.entries.sessions import CancelRuns
from sessions_app.models import Confirmation, Message, ToolCall
from tests.support import entries as e

pytestmark = e.database


def cancel(session):
    return e.commit_one(CancelRuns(session_id=session))


def results(session):
    return [frame for frame in e.events(session) if frame["event"] == "agent.tool_result"]


@pytest.mark.parametrize(("language", "said"), [("en", "was cancelled"), ("zh-hans", "被取消了")])
def test_the_result_of_a_closed_call_is_in_the_servers_language(monkeypatch, session, ref, language, said):
    monkeypatch.setattr("myagent.i18n._language", language)
    e.commit_one(e.reply(ref, e.call_of(0)))
    cancel(session)
    (frame,) = results(session)
    assert said in frame["content"]
    assert e.metadata(frame, "error", "status") == (frame["content"], "cancelled")


def test_every_open_call_gets_a_result_after_a_cancel(session, ref):
    calls = [e.call_of(0), e.call_of(1), e.call_of(2, waits=True)]
    first = e.commit_one(e.reply(ref, *calls))
    e.commit_one(e.result(ref, calls[1], first))
    cancel(session)
    assert [e.metadata(frame, "status") for frame in results(session)] == [("success",), ("cancelled",), ("cancelled",)]
    assert [frame["step_id"] for frame in results(session)] == [calls[index].step_id for index in (1, 0, 2)]
    told = [text for role, text in e.history(session) if role == "tool"]
    assert told[1] == "sunny"
    assert told[0] == told[2] != ""
    assert set(ToolCall.objects.values_list("status", flat=True)) == {"done"}
    assert e.names(session)[-1] == "agent.interrupted"


def test_a_cancel_and_the_results_it_overtakes_in_one_batch(session, ref):
    call = e.call_of()
    first = e.commit_one(e.reply(ref, call))
    e.commit(e.result(ref, call, first), CancelRuns(session_id=session))
    assert [e.metadata(frame, "status") for frame in results(session)] == [("success",)]
    assert [role for role, _text in e.history(session)] == ["user", "assistant", "tool"]


def test_text_that_was_shown_stays_once(session, ref):
    e.commit(e.deltas(ref, e.partial(ref, "It is ")), e.deltas(ref, e.partial(ref, "sun", 1)))
    cancel(session)
    cancel(session)
    assert [text.partition("\n")[0] for role, text in e.history(session) if role == "assistant"] == ["It is sun"]


def test_text_stays_that_was_shown_before_further_reasoning(session, ref):
    more = ThinkingMetadata(run_id=str(ref.run_id), step=1, reasoning=True, index=0)
    e.commit_one(e.deltas(ref, e.partial(ref, "It is ")))
    e.commit_one(e.deltas(ref, Thinking(content="Is it?", metadata=more)))
    cancel(session)
    assert [text.partition("\n")[0] for role, text in e.history(session) if role == "assistant"] == ["It is "]


def test_text_of_the_same_batch_stays(session, ref):
    e.commit(e.deltas(ref, e.partial(ref, "It is ")), CancelRuns(session_id=session))
    assert e.history(session)[-1][1].startswith("It is \n")


def test_text_of_a_finished_step_is_not_stored_twice(session, ref):
    call = e.call_of()
    e.commit(e.deltas(ref, e.partial(ref, "Let me look.", is_final=True)), e.reply(ref, call, text="Let me look."))
    cancel(session)
    assert [text for role, text in e.history(session) if role == "assistant"] == ["Let me look."]


def test_text_that_was_taken_back_is_gone(session, ref):
    e.commit_one(e.deltas(ref, e.partial(ref, "It is ")))
    void = StepVoided(metadata=StepResetMetadata(run_id=str(ref.run_id), step=1, reason="stream_cut"))
    e.commit_one(LogEvents(**e.mine(ref), events=(void,)))
    cancel(session)
    assert e.history(session) == [("user", "hi")]


def test_text_that_came_again_after_it_was_taken_back_stays(session, ref):
    e.commit_one(e.deltas(ref, e.partial(ref, "It is ")))
    void = StepVoided(metadata=StepResetMetadata(run_id=str(ref.run_id), step=1, reason="stream_cut"))
    e.commit_one(LogEvents(**e.mine(ref), events=(void,)))
    e.commit_one(e.deltas(ref, e.partial(ref, "Sunny", step_id="another")))
    cancel(session)
    assert e.history(session)[-1][1].startswith("Sunny\n")


def test_text_of_an_earlier_run_is_left_alone(session, ref):
    e.commit_one(e.deltas(ref, e.partial(ref, "Old")))
    cancel(session)
    e.running(session, "again")
    cancel(session)
    assert [role for role, _text in e.history(session)] == ["user", "assistant", "user"]


def test_open_questions_are_settled(session, ref):
    call = e.call_of(waits=True)
    e.commit(e.reply(ref, call), e.question(ref, call))
    cancel(session)
    row = Confirmation.objects.get()
    assert row.answer == {"confirmed": False, "answered": False}
    assert row.answered_at is not None


def test_what_waited_and_was_cancelled_is_part_of_the_history(session, ref):
    e.post(session, "two")
    e.post(session, "three")
    cancel(session)
    assert [text for _role, text in e.history(session)] == ["hi", "two", "three"]
    assert not Message.objects.filter(position=None).exists()


def test_after_a_cancel_the_next_message_works(session, ref):
    e.commit(e.reply(ref, e.call_of(), e.call_of(1)), e.deltas(ref, e.partial(ref, "x", step=2)))
    cancel(session)
    e.running(session, "again")
    assert e.history(session)[-1] == ("user", "again")
