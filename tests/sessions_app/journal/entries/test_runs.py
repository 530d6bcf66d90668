"""What the owner of a run writes: replies, calls, results, questions, the end; and that nobody else can."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from myagent.messages import Message as LibraryMessage
from sessions_app import queries
from sessions_app.journal.entries.ownership import ClaimNext
from sessions_app.journal.entries.runs import LapseConfirmation, StartCall
from sessions_app.journal.entries.sessions import AnswerConfirmation, CancelRuns
from sessions_app.journal.entry import RunRef
from sessions_app.journal.refusal import Refused
from sessions_app.models import Confirmation, Message, Run, Session, ToolCall
from tests.support import entries as e

pytestmark = e.database


def test_events_are_logged_in_the_order_of_the_entries(session, ref):
    e.commit(e.thinking(ref), e.deltas(ref, e.partial(ref, "a"), e.partial(ref, "b", 1)), e.thinking(ref, step=2))
    assert e.names(session)[1:] == ["agent.thinking", "agent.partial_answer", "agent.partial_answer", "agent.thinking"]


def test_a_reply_stores_its_message_its_calls_and_what_it_cost(session, ref):
    started, waiting = e.call_of(0, city="X"), e.call_of(1, "delete", waits=True)
    first = e.commit_one(e.reply(ref, started, waiting, text="Let me look."))
    rows = list(ToolCall.objects.order_by("index"))
    assert [row.status for row in rows] == ["started", "asked"]
    assert [row.position for row in rows] == [first, first + 1]
    assert rows[0].arguments == {"city": "X"}
    run = e.run_of(ref)
    assert (run.steps, run.input_tokens, run.output_tokens, run.llm_calls) == (1, 10, 5, 1)
    assert e.names(session)[1:] == ["agent.tool_call", "agent.tool_call"]
    assert Message.objects.get(role="assistant").content == "Let me look."


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_results_stand_in_the_order_of_the_calls_whatever_order_they_come_in(session, ref, order):
    calls = [e.call_of(index) for index in range(3)]
    first = e.commit_one(e.reply(ref, *calls))
    for index in order:
        e.commit_one(e.result(ref, calls[index], first, f"result {index}"))
    assert e.history(session)[2:] == [("tool", f"result {index}") for index in range(3)]
    assert set(ToolCall.objects.values_list("status", "outcome", "duration_ms")) == {("done", "success", 7)}


def test_a_message_that_waits_never_falls_between_calls_and_results(session, ref):
    call = e.call_of()
    first = e.commit_one(e.reply(ref, call))
    e.post(session, "meanwhile")
    e.commit_one(e.result(ref, call, first))
    e.post(session, "and this")
    e.commit_one(e.answer(ref, "It is sunny."))
    second = e.commit_one(ClaimNext(session_id=session, lease=e.LEASE))
    e.commit_one(e.answer(second, "Yes."))
    e.commit_one(ClaimNext(session_id=session, lease=e.LEASE))
    assert [text for _role, text in e.history(session)] == [
        "hi", "", "sunny", "It is sunny.", "meanwhile", "Yes.", "and this",
    ]  # fmt: skip


def test_the_state_that_a_tool_leaves_is_stored(session, ref):
    calls = [e.call_of(0), e.call_of(1)]
    first = e.commit_one(e.reply(ref, *calls))
    e.commit_one(e.result(ref, calls[0], first, state={"city": "北京", "n": None}))
    e.commit_one(e.result(ref, calls[1], first))
    assert Session.objects.get(pk=session).state == {"city": "北京", "n": None}
    assert queries.conversation(session).state == {"city": "北京", "n": None}


def test_a_reply_and_its_result_fit_into_one_batch(session, ref):
    call = e.call_of(waits=True)
    first = Session.objects.get(pk=session).last_position + 2
    start = StartCall(**e.mine(ref), step_id=call.step_id, arguments={"city": "Y"})
    assert e.refusals(e.commit(e.reply(ref, call), start, e.result(ref, call, first))) == [None] * 3
    row = ToolCall.objects.get()
    assert (row.status, row.arguments, row.arguments_run) == ("done", {}, {"city": "Y"})
    assert e.history(session)[-1] == ("tool", "sunny")


def test_a_call_that_waited_is_started_with_its_own_arguments(ref):
    call = e.call_of(waits=True, city="X")
    e.commit_one(e.reply(ref, call))
    e.commit_one(StartCall(**e.mine(ref), step_id=call.step_id, arguments={"city": "Y"}))
    row = ToolCall.objects.get()
    assert (row.status, row.arguments, row.arguments_run) == ("started", {"city": "X"}, {"city": "Y"})


# --- questions ---


def test_a_question_before_a_call_keeps_it_from_being_started(session, ref):
    call = e.call_of(waits=True)
    e.commit_one(e.reply(ref, call))
    e.commit_one(e.question(ref, call))
    assert ToolCall.objects.get().status == "confirming"
    assert e.run_of(ref).status == "waiting"
    assert e.names(session)[-1] == "agent.user_confirm"


def test_a_question_during_a_call_leaves_it_started(ref):
    call = e.call_of()
    e.commit_one(e.reply(ref, call))
    e.commit_one(e.question(ref, call, starts_call=False))
    assert ToolCall.objects.get().status == "started"


def test_silence_is_a_no(ref):
    call = e.call_of(waits=True)
    ask = e.question(ref, call)
    e.commit(e.reply(ref, call), ask)
    assert e.commit_one(LapseConfirmation(**e.mine(ref), step_id=ask.step_id)) is None
    assert Confirmation.objects.get().answer == {"confirmed": False, "answered": False}
    assert e.run_of(ref).status == "running"


@pytest.mark.parametrize("answer_first", [True, False])
def test_of_an_answer_and_the_end_of_patience_the_first_one_counts(session, ref, answer_first):
    call = e.call_of(waits=True)
    ask = e.question(ref, call)
    e.commit(e.reply(ref, call), ask)
    said = AnswerConfirmation(session_id=session, step_id=ask.step_id, answer={"confirmed": True}, by="ann", origin="c")
    silence = LapseConfirmation(**e.mine(ref), step_id=ask.step_id)
    if answer_first:
        _run, quicker = e.commit(said, silence)
        assert quicker == {"confirmed": True}
    else:
        assert e.refusals(e.commit(silence, said)) == [None, "no_pending_confirmation"]
    assert Confirmation.objects.get().answer["confirmed"] is answer_first


def test_a_question_that_its_call_did_not_wait_for_is_withdrawn(session, ref):
    calls = [e.call_of(0), e.call_of(1)]
    first = e.commit_one(e.reply(ref, *calls))
    asks = [e.question(ref, call, starts_call=False) for call in (calls[0], calls[0], calls[1])]
    e.commit(*asks)
    e.commit_one(e.result(ref, calls[0], first))
    assert Confirmation.objects.filter(answer__isnull=True).get().step_id == asks[2].step_id
    assert e.run_of(ref).status == "waiting"
    e.commit_one(e.result(ref, calls[1], first))
    assert not Confirmation.objects.filter(answer__isnull=True).exists()
    assert e.run_of(ref).status == "running"


# --- the end ---


def test_the_final_answer_its_message_and_the_status_are_one(session, ref):
    e.commit_one(e.answer(ref, "It is sunny."))
    run = e.run_of(ref)
    assert (run.status, run.owner, run.lease_until) == ("succeeded", "", None)
    assert run.finished_at is not None
    assert e.history(session) == [("user", "hi"), ("assistant", "It is sunny.")]
    assert e.names(session)[-1] == "agent.final_answer"


def test_an_answer_that_is_part_of_the_history_already_is_not_stored_again(session, ref):
    e.commit_one(e.answer(ref, said=False))
    assert e.history(session) == [("user", "hi")]


def test_the_end_tells_whether_more_waits_and_where_the_history_ends(session, ref):
    e.post(session)
    first = e.commit_one(e.answer(ref))
    assert (first.has_more, first.history_end) == (True, 2)
    second = e.commit_one(e.answer(e.commit_one(ClaimNext(session_id=session, lease=e.LEASE))))
    assert (second.has_more, second.history_end) == (False, 4)


def test_of_two_ends_the_first_one_counts(session, ref):
    assert e.refusals(e.commit(e.answer(ref, "1"), e.answer(ref, "2"))) == [None, "stale_run"]
    assert e.names(session).count("agent.final_answer") == 1


def test_a_failure_closes_open_calls_before_the_error(session, ref):
    calls = [e.call_of(0), e.call_of(1, waits=True)]
    first = e.commit_one(e.reply(ref, *calls))
    e.commit_one(e.result(ref, calls[0], first))
    end = replace(e.answer(ref), status=Run.Status.FAILED, message=None, error_code="llm_unavailable")
    e.commit_one(replace(end, events=(e.partial(ref, "The rest", step_id="s2", step=2), *end.events)))
    assert e.names(session)[-3:] == ["agent.partial_answer", "agent.tool_result", "agent.final_answer"]
    assert e.run_of(ref).error_code == "llm_unavailable"
    assert [role for role, _text in e.history(session)] == ["user", "assistant", "tool", "tool", "assistant"]
    assert e.history(session)[-1][1].startswith("The rest\n")


@pytest.mark.parametrize("epoch", [0, 2])
def test_another_epoch_writes_nothing(session, ref, epoch):
    call = e.call_of()
    stale = RunRef(ref.session_id, ref.run_id, epoch)
    entries = [e.thinking(stale), e.deltas(stale, e.partial(stale, "x")), e.reply(stale, call), e.answer(stale)]
    before = e.names(session)
    assert e.refusals(e.commit(*entries)) == ["stale_run"] * len(entries)
    assert e.names(session) == before
    assert e.run_of(ref).status == "running"
    assert not ToolCall.objects.exists()


def test_a_queued_run_has_no_owner(session, ref):
    waiting = e.post(session)
    stale = RunRef(session, waiting.run_id, 0)
    with pytest.raises(Refused, match="stale_run"):
        e.commit_one(e.thinking(stale))


# --- any course of events ---

STEP = st.sampled_from(["say", "call", "result", "message", "cancel", "answer", "claim"])


# Each example has a session of its own, so that what is left of the others does no harm.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=30), sizes=st.lists(st.integers(1, 6), max_size=30))
def test_whatever_happens_the_log_and_the_history_hold_together(db, steps, sizes):
    Course(steps, sizes).play()


class Course:
    """A session in which things happen, committed in batches of any size; some entries come too late."""

    def __init__(self, steps, sizes):
        self.session = e.new_session()
        self.steps = steps
        self.sizes = itertools.chain(sizes, itertools.repeat(1))
        self.batch = []
        self.ref = None
        self.open = []
        self.position = 0
        self.step = 0

    def play(self):
        for step in self.steps:
            if step == "message":
                self.flush()
                (posted,) = e.commit(e.message(self.session, max_queued=3))
                if not isinstance(posted, Refused) and posted.begun:
                    self.begin(posted.begun)
            elif step == "claim":
                self.flush()
                if claimed := e.commit_one(ClaimNext(session_id=self.session, lease=e.LEASE)):
                    self.begin(claimed)
            elif step == "cancel":
                self.batch.append(CancelRuns(session_id=self.session))
            elif self.ref is not None:
                self.work(step)
            if len(self.batch) >= next(self.sizes):
                self.flush()
            e.events(self.session)
        self.flush()
        e.commit_one(CancelRuns(session_id=self.session))
        self.check()

    def begin(self, ref):
        self.ref, self.open = ref, []

    def work(self, step):
        ref = self.ref
        if step == "say":
            self.batch.append(e.deltas(ref, e.partial(ref, "x", step_id=str(ref.run_id))))
        elif step == "call" and not self.open:
            self.flush()
            calls = [e.call_of(0), e.call_of(1, waits=True)]
            self.step += 1
            (first,) = e.commit(e.reply(ref, *calls, step=self.step))
            if not isinstance(first, Refused):
                self.position, self.open = first, calls
        elif step == "result" and self.open:
            self.batch.append(e.result(ref, self.open.pop(), self.position))
        elif step == "answer" and not self.open:
            self.batch.append(e.answer(ref))

    def flush(self):
        batch, self.batch = self.batch, []
        if batch:
            e.commit(*batch)

    def check(self):
        frames = e.events(self.session)
        e.assert_model_takes(queries.conversation(self.session).messages)
        assert not Run.objects.filter(session=self.session).unfinished().exists()
        assert not ToolCall.objects.exclude(status="done").exists()
        ends = [frame for frame in frames if frame["event"] in ("agent.final_answer", "agent.interrupted")]
        runs = [str(pk) for pk in Run.objects.filter(session=self.session).values_list("pk", flat=True)]
        assert sorted(e.metadata(frame, "run_id")[0] for frame in ends) == sorted(runs)
        for end in ends:
            later = [frame for frame in frames if frame["seq"] > end["seq"]]
            assert e.metadata(end, "run_id") not in [e.metadata(frame, "run_id") for frame in later]


def test_the_fields_of_an_end_reach_the_run(ref):
    e.commit_one(e.answer(ref))
    run = e.run_of(ref)
    assert (run.input_tokens, run.llm_calls, run.steps) == (e.USAGE.input_tokens, e.USAGE.llm_calls, 1)


def test_a_stored_message_reads_back_as_it_was(session, ref):
    call = e.call_of(city="X")
    e.commit_one(e.reply(ref, call, text="Let me look."))
    (asked,) = [item for item in queries.conversation(session).messages if item.tool_calls]
    assert asked == LibraryMessage.assistant("Let me look.", asked.tool_calls)
    assert asked.tool_calls[0].id == call.call_id
