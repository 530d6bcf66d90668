"""Taking over a run whose process died: what runs again, what is in doubt, what is still asked, what was spent."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from myagent.llm import Usage
from myagent.loop.checkpoint import OpenCall
from myagent.protocol.server_events import StepResetMetadata, StepVoided, Thinking, ThinkingMetadata
from sessions_app.journal.entries.ownership import ClaimNext, Lease, ReleaseRuns, RenewLeases
from sessions_app.journal.entries.recovery import MAX_ATTEMPTS, RecoverRun
from sessions_app.journal.entries.runs import LapseConfirmation, LogEvents, StartCall
from sessions_app.journal.entries.sessions import AnswerConfirmation, CancelRuns
from sessions_app.journal.refusal import Refused
from sessions_app.models import Confirmation, Run, Session, ToolCall
from tests.support import entries as e

pytestmark = e.database

HEIR = Lease("heir", seconds=60)
UNANSWERED = {"confirmed": False, "answered": False}


def takeover(ref, *, lease=HEIR, idempotent=(), **options):
    return RecoverRun(
        session_id=ref.session_id,
        dead_run_id=ref.run_id,
        epoch=ref.epoch,
        lease=lease,
        idempotent=None if idempotent is None else frozenset(idempotent),
        **options,
    )


def recover(ref, **options):
    """What is taken over of a run whose lease has run out."""
    e.lapse(ref)
    return e.commit_one(takeover(ref, **options))


def open_calls(recovered):
    return dict(recovered.checkpoint.open_calls)


def begin(ref, call, **arguments):
    return StartCall(**e.mine(ref), step_id=call.step_id, arguments=arguments)


def respond(session, asked, answer):
    return AnswerConfirmation(session_id=session, step_id=asked.step_id, answer=answer, by="", origin="c")


def results(session):
    frames = [frame for frame in e.events(session) if frame["event"] == "agent.tool_result"]
    return [e.metadata(frame, "tool", "status") for frame in frames]


def resets(session):
    frames = [frame for frame in e.events(session) if frame["event"] == "agent.step_reset"]
    return [e.metadata(frame, "step", "reason") for frame in frames]


# --- who may take over, and when ---


def test_the_heir_may_write_and_the_dead_owner_not(session, ref):
    recovered = recover(ref)
    assert (recovered.ref.run_id, recovered.ref.epoch) == (ref.run_id, ref.epoch + 1)
    with pytest.raises(Refused, match="stale_run"):
        e.commit_one(e.deltas(ref, e.partial(ref, "late")))
    e.commit_one(e.answer(recovered.ref))
    assert e.statuses(session) == ["succeeded"]
    assert e.history(session) == [("user", "hi"), ("assistant", "Done.")]


def test_a_takeover_is_no_new_start(session, ref):
    before = e.run_of(ref)
    recover(ref)
    run = e.run_of(ref)
    assert (run.status, run.owner, run.attempts) == ("running", HEIR.owner, 2)
    assert run.started_at == before.started_at and run.queued_at == before.queued_at
    assert run.lease_until > timezone.now() + timedelta(seconds=30)


def test_nothing_is_said_of_a_takeover_before_anything_was_shown(session, ref):
    before = e.names(session)
    e.commit_one(e.thinking(ref))
    recover(ref)
    assert e.names(session) == [*before, "agent.thinking"]


def test_its_age_counts_from_its_first_start(ref):
    Run.objects.filter(pk=ref.run_id).update(started_at=timezone.now() - timedelta(minutes=10))
    assert recover(ref).age == pytest.approx(600, abs=30)


def test_of_two_heirs_one_goes_on(ref):
    e.lapse(ref)
    outcomes = e.commit(takeover(ref), takeover(ref, lease=e.LEASE))
    assert e.refusals(outcomes) == [None, "stale_run"]
    assert e.run_of(ref).owner == HEIR.owner


def test_a_run_whose_lease_was_renewed_meanwhile_is_left_to_its_owner(ref):
    e.lapse(ref)
    renewal = RenewLeases(session_id=ref.session_id, lease=e.LEASE, run_ids=[ref.run_id])
    assert e.refusals(e.commit(renewal, takeover(ref))) == [None, "stale_run"]
    assert e.run_of(ref).owner == e.LEASE.owner


def test_a_dead_owner_is_not_waited_for(ref):
    with pytest.raises(Refused, match="stale_run"):
        e.commit_one(takeover(ref))
    assert e.commit_one(takeover(ref, dead_owners=(e.LEASE.owner,))) is not None


def test_a_released_run_is_not_waited_for_and_has_no_attempt_less(ref):
    e.commit_one(ReleaseRuns(session_id=ref.session_id, owner=e.LEASE.owner))
    assert e.commit_one(takeover(ref)) is not None
    assert e.run_of(ref).attempts == 1


@pytest.mark.parametrize("end", [e.answer, lambda ref: CancelRuns(session_id=ref.session_id)])
def test_a_run_that_ended_is_not_taken_over(session, ref, end):
    e.lapse(ref)
    assert e.refusals(e.commit(end(ref), takeover(ref))) == [None, "stale_run"]
    assert len([name for name in e.names(session) if name in ("agent.final_answer", "agent.interrupted")]) == 1


def test_a_run_of_a_deleted_session_is_not_taken_over(session, ref):
    Session.objects.all().delete()
    with pytest.raises(Refused):
        e.commit_one(takeover(ref))


def test_a_cancel_ends_what_was_taken_over(session, ref):
    e.commit_one(e.deltas(ref, e.partial(ref, "It is ")))
    recovered = recover(ref)
    e.commit_one(CancelRuns(session_id=session))
    assert e.names(session)[-2:] == ["agent.step_reset", "agent.interrupted"]
    assert e.history(session) == [("user", "hi")], "what was void is not kept as said"
    with pytest.raises(Refused, match="stale_run"):
        e.commit_one(e.thinking(recovered.ref))


def test_what_waits_behind_it_waits_on(session, ref):
    e.post(session, "two")
    e.post(session, "three")
    recovered = recover(ref)
    assert e.statuses(session) == ["running", "queued", "queued"]
    assert e.commit_one(e.answer(recovered.ref)).has_more
    second = e.commit_one(ClaimNext(session_id=session, lease=HEIR))
    e.commit_one(e.answer(second, "Two."))
    assert [text for _role, text in e.history(session)] == ["hi", "Done.", "two", "Two."]


# --- what was shown ---


def test_text_of_an_unfinished_step_is_void(session, ref):
    e.commit(e.thinking(ref), e.deltas(ref, e.partial(ref, "It is ")))
    recovered = recover(ref)
    assert resets(session) == [(1, "restart")]
    assert recovered.checkpoint.step == 0
    assert e.history(session) == [("user", "hi")]


def test_text_of_the_same_batch_is_void(session, ref):
    e.lapse(ref)
    e.commit(e.deltas(ref, e.partial(ref, "It is ")), takeover(ref))
    assert resets(session) == [(1, "restart")]


def test_reasoning_of_an_unfinished_step_is_void(session, ref):
    shown = ThinkingMetadata(run_id=str(ref.run_id), step=1, reasoning=True, index=0)
    e.commit_one(LogEvents(**e.mine(ref), events=(Thinking(content="Hm", metadata=shown),)))
    recover(ref)
    assert resets(session) == [(1, "restart")]


def test_text_of_a_finished_step_stands(session, ref):
    call = e.call_of(waits=True)
    e.commit(
        e.thinking(ref),
        e.deltas(ref, e.partial(ref, "Let me see.", is_final=True)),
        e.reply(ref, call, text="Let me see."),
    )
    recovered = recover(ref)
    assert resets(session) == []
    assert recovered.checkpoint.step == 1


def test_only_the_step_behind_the_last_reply_is_void(session, ref):
    call = e.call_of()
    first = e.commit_one(e.reply(ref, call))
    e.commit(
        e.result(ref, call, first), e.thinking(ref, 2), e.deltas(ref, e.partial(ref, "So", step=2, step_id="second"))
    )
    recovered = recover(ref)
    assert resets(session) == [(2, "restart")]
    assert (recovered.checkpoint.step, open_calls(recovered)) == (1, {})
    assert [role for role, _text in e.history(session)] == ["user", "assistant", "tool"]


def test_what_is_void_already_is_not_voided_again(session, ref):
    e.commit_one(e.deltas(ref, e.partial(ref, "It is ")))
    void = StepVoided(metadata=StepResetMetadata(run_id=str(ref.run_id), step=1, reason="stream_cut"))
    e.commit_one(LogEvents(**e.mine(ref), events=(void,)))
    second = recover(ref)
    recover(second.ref)
    assert resets(session) == [(1, "stream_cut")]


def test_what_is_shown_after_a_takeover_is_void_after_the_next_one(session, ref):
    e.commit_one(e.deltas(ref, e.partial(ref, "It is ")))
    second = recover(ref).ref
    e.commit(e.thinking(second), e.deltas(second, e.partial(second, "It is", step_id="again")))
    recover(second)
    assert resets(session) == [(1, "restart")] * 2


def test_text_of_an_earlier_run_stands(session, ref):
    e.commit(e.deltas(ref, e.partial(ref, "Done.", is_final=True)), e.answer(ref))
    recover(e.running(session, "again"))
    assert resets(session) == []


# --- what was spent ---


def test_steps_and_usage_go_on(ref):
    call = e.call_of()
    first = e.commit_one(e.reply(ref, call, step=3))
    e.commit_one(e.result(ref, call, first))
    recovered = recover(ref)
    assert recovered.checkpoint.step == 3
    assert recovered.checkpoint.usage == e.USAGE
    run = e.run_of(ref)
    assert (run.steps, run.input_tokens, run.output_tokens, run.llm_calls) == (3, 10, 5, 1)
    assert (run.cached_input_tokens, run.cache_write_tokens, run.reasoning_tokens) == (4, 3, 2)


def test_a_run_that_had_done_nothing_begins_anew(ref):
    recovered = recover(ref)
    assert (recovered.checkpoint.step, recovered.checkpoint.usage) == (0, Usage())
    assert (recovered.questions, recovered.first_result) == ({}, 0)


# --- calls ---


def test_a_call_that_was_not_begun_runs(session, ref):
    e.commit_one(e.reply(ref, e.call_of(waits=True)))
    assert open_calls(recover(ref)) == {0: OpenCall()}
    assert results(session) == []


def test_a_call_that_was_begun_is_in_doubt(in_english, session, ref):
    call = e.call_of()
    e.commit_one(e.reply(ref, call))
    recovered = recover(ref)
    assert open_calls(recovered) == {}
    assert results(session) == [("weather", "unknown")]
    assert e.history(session)[-1][0] == "tool" and "unknown" in e.history(session)[-1][1]
    row = ToolCall.objects.get()
    assert (row.status, row.outcome) == ("done", "unknown")


def test_a_call_that_was_begun_after_a_yes_is_in_doubt(session, ref):
    call = e.call_of(waits=True)
    e.commit_one(e.reply(ref, call))
    e.commit(asked := e.question(ref, call), respond(session, asked, {"confirmed": True}), begin(ref, call))
    recovered = recover(ref)
    assert (open_calls(recovered), recovered.questions) == ({}, {})
    assert results(session) == [("weather", "unknown")]


def test_a_call_that_does_no_harm_runs_again(session, ref):
    e.commit_one(e.reply(ref, e.call_of()))
    assert open_calls(recover(ref, idempotent=["weather"])) == {0: OpenCall(begun=True)}
    assert results(session) == []


def test_a_call_that_does_no_harm_runs_again_as_a_person_agreed(ref):
    call = e.call_of(waits=True, city="here")
    e.commit(e.reply(ref, call), begin(ref, call, city="there"))
    recovered = recover(ref, idempotent=["weather"])
    assert open_calls(recovered) == {0: OpenCall(begun=True, agreed={"city": "there"})}


def test_a_result_that_is_on_record_is_kept(session, ref):
    calls = [e.call_of(0), e.call_of(1), e.call_of(2, waits=True)]
    first = e.commit_one(e.reply(ref, *calls))
    e.commit_one(e.result(ref, calls[1], first))
    recovered = recover(ref, idempotent=["weather"])
    assert set(open_calls(recovered)) == {0, 2}
    assert recovered.first_result == first
    assert results(session) == [("weather", "success")]


def test_the_places_of_results_are_known_when_the_first_call_is_done(ref):
    calls = [e.call_of(0), e.call_of(1), e.call_of(2, waits=True)]
    first = e.commit_one(e.reply(ref, *calls))
    e.commit_one(e.result(ref, calls[0], first))
    recovered = recover(ref)
    assert set(open_calls(recovered)) == {2}
    assert recovered.first_result == first


def test_the_heir_finishes_what_was_open(session, ref):
    calls = [e.call_of(0, "once"), e.call_of(1), e.call_of(2, waits=True)]
    first = e.commit_one(e.reply(ref, *calls))
    e.commit_one(e.result(ref, calls[1], first, "one"))
    heir = recover(ref)
    e.commit(e.result(heir.ref, calls[2], heir.first_result, "two"), e.answer(heir.ref))
    assert results(session) == [("weather", "success"), ("once", "unknown"), ("weather", "success")]
    assert [text for role, text in e.history(session) if role == "tool"][1:] == ["one", "two"]


@pytest.mark.parametrize("idempotent", [True, False])
def test_of_tools_that_each_run_chooses_counts_what_they_were_when_they_were_called(session, ref, idempotent):
    e.commit_one(e.reply(ref, replace(e.call_of(), idempotent=idempotent)))
    assert open_calls(recover(ref, idempotent=None)) == ({0: OpenCall(begun=True)} if idempotent else {})
    assert results(session) == ([] if idempotent else [("weather", "unknown")])


# --- questions ---


def by_hook(ref, call=None):
    """The question of a hook, about no call unless one is given."""
    asked = e.question(ref, call or e.call_of(), starts_call=False)
    return replace(asked, by_hook=True, call_step_id="" if call is None else call.step_id)


def test_the_question_of_a_hook_is_kept_and_so_is_its_answer(session, ref):
    answered, asked = by_hook(ref), by_hook(ref)
    e.commit(answered, respond(session, answered, {"confirmed": True}), asked)
    e.lapse(ref)
    recovered = recover(ref)
    assert {key: question.answer for key, question in recovered.questions.items()} == {
        answered.step_id: {"confirmed": True},
        asked.step_id: None,
    }
    assert e.run_of(ref).status == "waiting"


def test_a_question_of_a_hook_that_is_not_asked_again_is_withdrawn(ref):
    old, new = by_hook(ref), by_hook(ref)
    e.commit_one(old)
    ref = recover(ref).ref
    e.commit_one(replace(new, epoch=ref.epoch))
    assert Confirmation.objects.get(pk=old.step_id).answer == UNANSWERED
    assert Confirmation.objects.get(pk=new.step_id).answer is None and e.run_of(ref).status == "waiting"
    ref = recover(ref).ref
    e.commit_one(e.reply(ref, e.call_of()))
    assert Confirmation.objects.get(pk=new.step_id).answer == UNANSWERED
    assert e.run_of(ref).status == "running", "the run has moved on without it"


@pytest.mark.parametrize("end", ["answer", "failure"])
def test_a_run_ends_over_a_question_of_a_hook(ref, end):
    e.commit_one(asked := by_hook(ref))
    ref = recover(ref).ref
    e.commit_one(getattr(e, end)(ref))
    assert Confirmation.objects.get(pk=asked.step_id).answer == UNANSWERED


@pytest.mark.parametrize("waits", [True, False])
def test_the_question_of_a_hook_about_a_call_is_kept_as_long_as_the_call_may_run(ref, waits):
    call = e.call_of(waits=waits)
    e.commit_one(e.reply(ref, call))
    e.commit_one(asked := by_hook(ref, call))
    assert set(recover(ref).questions) == ({asked.step_id} if waits else set())
    assert (Confirmation.objects.get().answer is None) is waits


@pytest.fixture
def asked(ref):
    """The question about the one call of the run."""
    call = e.call_of(waits=True)
    e.commit_one(e.reply(ref, call))
    asked = e.question(ref, call, timeout=60)
    e.commit_one(asked)
    return asked


def test_an_open_question_is_still_open(session, ref, asked):
    recovered = recover(ref)
    assert open_calls(recovered) == {0: OpenCall(asked=True)}
    still = recovered.questions[asked.call_step_id]
    assert (still.step_id, still.answer) == (asked.step_id, None)
    assert 30 < still.seconds_left <= 60
    assert e.run_of(ref).status == "waiting"
    assert e.names(session).count("agent.user_confirm") == 1
    e.commit_one(respond(session, asked, {"confirmed": True}))
    assert e.run_of(ref).status == "running"


def test_a_question_can_be_answered_while_nobody_works_on_the_run(session, ref, asked):
    e.lapse(ref)
    e.commit_one(respond(session, asked, {"confirmed": True, "args": {"city": "there"}}))
    recovered = recover(ref)
    assert recovered.questions[asked.call_step_id].answer == {"confirmed": True, "args": {"city": "there"}}
    assert open_calls(recovered) == {0: OpenCall(asked=True)}
    assert e.run_of(ref).status == "running"


def test_silence_counts_while_nobody_works_on_the_run(session, ref, asked):
    Confirmation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    recovered = recover(ref)
    assert recovered.questions[asked.call_step_id].seconds_left == 0
    with pytest.raises(Refused, match="no_pending_confirmation"):
        e.commit_one(respond(session, asked, {"confirmed": True}))
    assert e.commit_one(LapseConfirmation(**e.mine(recovered.ref), step_id=asked.step_id)) is None
    assert Confirmation.objects.get().answer == UNANSWERED
    assert e.run_of(ref).status == "running"


def test_a_question_that_was_asked_before_two_takeovers(ref, asked):
    recovered = recover(recover(ref).ref)
    assert recovered.questions[asked.call_step_id].step_id == asked.step_id
    assert e.run_of(ref).status == "waiting"


@pytest.mark.parametrize("idempotent", [[], ["weather"]])
def test_what_a_running_tool_asked_is_withdrawn(session, ref, idempotent):
    call = e.call_of()
    e.commit_one(e.reply(ref, call))
    e.commit_one(asked := e.question(ref, call, starts_call=False))
    recovered = recover(ref, idempotent=idempotent)
    assert recovered.questions == {}
    assert Confirmation.objects.get().answer == UNANSWERED
    assert e.run_of(ref).status == "running"
    assert set(open_calls(recovered)) == ({0} if idempotent else set())
    with pytest.raises(Refused, match="no_pending_confirmation"):
        e.commit_one(respond(session, asked, {"confirmed": True}))


def test_of_two_questions_the_one_of_the_running_tool_goes(ref):
    calls = [e.call_of(0), e.call_of(1, waits=True)]
    e.commit_one(e.reply(ref, *calls))
    e.commit_one(e.question(ref, calls[0], starts_call=False))
    e.commit_one(kept := e.question(ref, calls[1]))
    recovered = recover(ref)
    assert [still.step_id for still in recovered.questions.values()] == [kept.step_id]
    assert e.run_of(ref).status == "waiting"


# --- giving up ---


def crash(ref, times):
    for _ in range(times):
        ref = recover(ref).ref
    return ref


def test_a_run_that_stopped_three_processes_is_given_up(session, ref):
    call = e.call_of()
    e.commit(e.reply(ref, call), e.question(ref, call, starts_call=False))
    e.post(session, "two")
    last = crash(ref, MAX_ATTEMPTS - 1)
    e.commit_one(e.deltas(last, e.partial(last, "And", step=2, step_id="second")))
    assert recover(last) is None
    run = e.run_of(ref)
    assert (run.status, run.error_code, run.owner, run.lease_until) == ("failed", "poisoned", "", None)
    assert run.finished_at is not None
    end = e.events(session)[-1]
    assert end["event"] == "agent.error"
    assert e.metadata(end, "code", "run_id") == ("poisoned", str(ref.run_id))
    assert "3" in end["content"]
    assert e.statuses(session) == ["failed", "queued"]
    assert e.history(session)[-1][1].startswith("And\n")
    with pytest.raises(Refused, match="stale_run"):
        e.commit_one(e.answer(last))
    assert e.commit_one(ClaimNext(session_id=session, lease=HEIR)) is not None


def test_a_run_that_waited_for_a_person_stopped_nothing(session, ref, asked):
    heir = crash(ref, 2 * MAX_ATTEMPTS)
    assert (e.run_of(ref).status, e.run_of(ref).attempts) == ("waiting", 1)
    e.commit_one(respond(session, asked, {"confirmed": True}))
    assert e.run_of(crash(heir, MAX_ATTEMPTS - 1)).attempts == MAX_ATTEMPTS


def test_a_run_that_waited_for_a_person_beside_a_call_may_have(ref):
    calls = [e.call_of(0, "begun"), e.call_of(1, waits=True)]
    e.commit_one(e.reply(ref, *calls))
    e.commit_one(e.question(ref, calls[1]))
    crash(ref, 1)
    assert (e.run_of(ref).status, e.run_of(ref).attempts) == ("waiting", 2)


def test_an_orderly_end_takes_no_failed_attempt_back(session, ref):
    last = crash(ref, MAX_ATTEMPTS - 1)
    e.commit_one(ReleaseRuns(session_id=session, owner=HEIR.owner))
    last = e.commit_one(takeover(last)).ref
    assert e.run_of(ref).attempts == MAX_ATTEMPTS
    assert recover(last) is None


def test_what_is_open_when_a_run_is_given_up_is_closed(session, ref):
    last = crash(ref, MAX_ATTEMPTS - 1)
    calls = [e.call_of(0, "begun"), e.call_of(1, "asked", waits=True), e.call_of(2, "waiting", waits=True)]
    e.commit_one(e.reply(last, *calls))
    e.commit_one(e.question(last, calls[2]))
    assert recover(last, idempotent=["begun"]) is None
    assert results(session) == [("begun", "unknown"), ("asked", "cancelled"), ("waiting", "cancelled")]
    assert Confirmation.objects.get().answer == UNANSWERED
    assert len([role for role, _text in e.history(session) if role == "tool"]) == 3


def test_an_orderly_end_of_the_server_is_no_failed_attempt(session, ref):
    for _ in range(2 * MAX_ATTEMPTS):
        e.commit_one(ReleaseRuns(session_id=session, owner=e.run_of(ref).owner))
        ref = e.commit_one(takeover(ref)).ref
    assert e.run_of(ref).attempts == 1
