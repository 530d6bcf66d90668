"""What the owner of a run writes: replies, calls, results, questions, the end; and that nobody else can."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from myagent.messages import Message as LibraryMessage
from sessions_app import queries
from sessions_app.journal.batch import Refused
from sessions_app.journal.entries.ownership import ClaimNext
from sessions_app.journal.entries.runs import LapseConfirmation, StartCall
from sessions_app.journal.entries.sessions import AnswerConfirmation, CancelRuns
from sessions_app.journal.entry import RunRef
from sessions_app.models import Confirmation, Message, Run, Session, ToolCall
from tests.support.factories import (
    LEASE,
    USAGE,
    answer,
    assert_model_takes,
    call_of,
    commit,
    commit_one,
    database,
    deltas,
    events,
    history,
    message,
    metadata,
    mine,
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
    thinking,
)

pytestmark = database


@pytest.fixture
def session():
    return new_session()


@pytest.fixture
def ref(session):
    return running(session)


def test_events_are_logged_in_the_order_of_the_entries(session, ref):
    commit(thinking(ref), deltas(ref, partial(ref, "a"), partial(ref, "b", 1)), thinking(ref, step=2))
    assert names(session)[1:] == ["agent.thinking", "agent.partial_answer", "agent.partial_answer", "agent.thinking"]


def test_a_reply_stores_its_message_its_calls_and_what_it_cost(session, ref):
    started, waiting = call_of(0, city="X"), call_of(1, "delete", waits=True)
    first = commit_one(reply(ref, started, waiting, text="Let me look."))
    rows = list(ToolCall.objects.order_by("index"))
    assert [row.status for row in rows] == ["started", "asked"]
    assert [row.position for row in rows] == [first, first + 1]
    assert rows[0].arguments == {"city": "X"}
    run = run_of(ref)
    assert (run.steps, run.input_tokens, run.output_tokens, run.llm_calls) == (1, 10, 5, 1)
    assert names(session)[1:] == ["agent.tool_call", "agent.tool_call"]
    assert Message.objects.get(role="assistant").content == "Let me look."


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_results_stand_in_the_order_of_the_calls_whatever_order_they_come_in(session, ref, order):
    calls = [call_of(index) for index in range(3)]
    first = commit_one(reply(ref, *calls))
    for index in order:
        commit_one(result(ref, calls[index], first, f"result {index}"))
    assert history(session)[2:] == [("tool", f"result {index}") for index in range(3)]
    assert set(ToolCall.objects.values_list("status", "outcome", "duration_ms")) == {("done", "success", 7)}


def test_a_message_that_waits_never_falls_between_calls_and_results(session, ref):
    call = call_of()
    first = commit_one(reply(ref, call))
    post(session, "meanwhile")
    commit_one(result(ref, call, first))
    post(session, "and this")
    commit_one(answer(ref, "It is sunny."))
    second = commit_one(ClaimNext(session_id=session, lease=LEASE))
    commit_one(answer(second, "Yes."))
    commit_one(ClaimNext(session_id=session, lease=LEASE))
    assert [text for _role, text in history(session)] == [
        "hi", "", "sunny", "It is sunny.", "meanwhile", "Yes.", "and this",
    ]  # fmt: skip


def test_the_state_that_a_tool_leaves_is_stored(session, ref):
    calls = [call_of(0), call_of(1)]
    first = commit_one(reply(ref, *calls))
    commit_one(result(ref, calls[0], first, state={"city": "北京", "n": None}))
    commit_one(result(ref, calls[1], first))
    assert Session.objects.get(pk=session).state == {"city": "北京", "n": None}
    assert queries.conversation(session).state == {"city": "北京", "n": None}


def test_a_reply_and_its_result_fit_into_one_batch(session, ref):
    call = call_of(waits=True)
    first = Session.objects.get(pk=session).last_position + 2
    start = StartCall(**mine(ref), step_id=call.step_id, arguments={"city": "Y"})
    assert refusals(commit(reply(ref, call), start, result(ref, call, first))) == [None] * 3
    row = ToolCall.objects.get()
    assert (row.status, row.arguments, row.arguments_run) == ("done", {}, {"city": "Y"})
    assert history(session)[-1] == ("tool", "sunny")


def test_a_call_that_waited_is_started_with_its_own_arguments(ref):
    call = call_of(waits=True, city="X")
    commit_one(reply(ref, call))
    commit_one(StartCall(**mine(ref), step_id=call.step_id, arguments={"city": "Y"}))
    row = ToolCall.objects.get()
    assert (row.status, row.arguments, row.arguments_run) == ("started", {"city": "X"}, {"city": "Y"})


# --- questions ---


def test_a_question_before_a_call_keeps_it_from_being_started(session, ref):
    call = call_of(waits=True)
    commit_one(reply(ref, call))
    commit_one(question(ref, call))
    assert ToolCall.objects.get().status == "confirming"
    assert run_of(ref).status == "waiting"
    assert names(session)[-1] == "agent.user_confirm"


def test_a_question_during_a_call_leaves_it_started(ref):
    call = call_of()
    commit_one(reply(ref, call))
    commit_one(question(ref, call, starts_call=False))
    assert ToolCall.objects.get().status == "started"


def test_silence_is_a_no(ref):
    call = call_of(waits=True)
    ask = question(ref, call)
    commit(reply(ref, call), ask)
    assert commit_one(LapseConfirmation(**mine(ref), step_id=ask.step_id)) is None
    assert Confirmation.objects.get().answer == {"confirmed": False, "answered": False}
    assert run_of(ref).status == "running"


@pytest.mark.parametrize("answer_first", [True, False])
def test_of_an_answer_and_the_end_of_patience_the_first_one_counts(session, ref, answer_first):
    call = call_of(waits=True)
    ask = question(ref, call)
    commit(reply(ref, call), ask)
    said = AnswerConfirmation(session_id=session, step_id=ask.step_id, answer={"confirmed": True}, by="ann", origin="c")
    silence = LapseConfirmation(**mine(ref), step_id=ask.step_id)
    if answer_first:
        _run, quicker = commit(said, silence)
        assert quicker == {"confirmed": True}
    else:
        assert refusals(commit(silence, said)) == [None, "no_pending_confirmation"]
    assert Confirmation.objects.get().answer["confirmed"] is answer_first


def test_a_question_that_its_call_did_not_wait_for_is_withdrawn(session, ref):
    calls = [call_of(0), call_of(1)]
    first = commit_one(reply(ref, *calls))
    asks = [question(ref, call, starts_call=False) for call in (calls[0], calls[0], calls[1])]
    commit(*asks)
    commit_one(result(ref, calls[0], first))
    assert Confirmation.objects.filter(answer__isnull=True).get().step_id == asks[2].step_id
    assert run_of(ref).status == "waiting"
    commit_one(result(ref, calls[1], first))
    assert not Confirmation.objects.filter(answer__isnull=True).exists()
    assert run_of(ref).status == "running"


# --- the end ---


def test_the_final_answer_its_message_and_the_status_are_one(session, ref):
    commit_one(answer(ref, "It is sunny."))
    run = run_of(ref)
    assert (run.status, run.owner, run.lease_until) == ("succeeded", "", None)
    assert run.finished_at is not None
    assert history(session) == [("user", "hi"), ("assistant", "It is sunny.")]
    assert names(session)[-1] == "agent.final_answer"


def test_an_answer_that_is_part_of_the_history_already_is_not_stored_again(session, ref):
    commit_one(answer(ref, said=False))
    assert history(session) == [("user", "hi")]


def test_the_end_tells_whether_more_waits_and_where_the_history_ends(session, ref):
    post(session)
    first = commit_one(answer(ref))
    assert (first.has_more, first.history_end) == (True, 2)
    second = commit_one(answer(commit_one(ClaimNext(session_id=session, lease=LEASE))))
    assert (second.has_more, second.history_end) == (False, 4)


def test_of_two_ends_the_first_one_counts(session, ref):
    assert refusals(commit(answer(ref, "1"), answer(ref, "2"))) == [None, "stale_run"]
    assert names(session).count("agent.final_answer") == 1


def test_a_failure_closes_open_calls_before_the_error(session, ref):
    calls = [call_of(0), call_of(1, waits=True)]
    first = commit_one(reply(ref, *calls))
    commit_one(result(ref, calls[0], first))
    end = replace(answer(ref), status=Run.Status.FAILED, message=None, error_code="llm_unavailable")
    commit_one(replace(end, events=(partial(ref, "The rest", step_id="s2", step=2), *end.events)))
    assert names(session)[-3:] == ["agent.partial_answer", "agent.tool_result", "agent.final_answer"]
    assert run_of(ref).error_code == "llm_unavailable"
    assert [role for role, _text in history(session)] == ["user", "assistant", "tool", "tool", "assistant"]
    assert history(session)[-1][1].startswith("The rest\n")


@pytest.mark.parametrize("epoch", [0, 2])
def test_another_epoch_writes_nothing(session, ref, epoch):
    call = call_of()
    stale = RunRef(ref.session_id, ref.run_id, epoch)
    entries = [thinking(stale), deltas(stale, partial(stale, "x")), reply(stale, call), answer(stale)]
    before = names(session)
    assert refusals(commit(*entries)) == ["stale_run"] * len(entries)
    assert names(session) == before
    assert run_of(ref).status == "running"
    assert not ToolCall.objects.exists()


def test_a_queued_run_has_no_owner(session, ref):
    waiting = post(session)
    stale = RunRef(session, waiting.run_id, 0)
    with pytest.raises(Refused, match="stale_run"):
        commit_one(thinking(stale))


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
        self.session = new_session()
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
                (posted,) = commit(message(self.session, max_queued=3))
                if not isinstance(posted, Refused) and posted.lease:
                    self.begin(posted.lease)
            elif step == "claim":
                self.flush()
                if claimed := commit_one(ClaimNext(session_id=self.session, lease=LEASE)):
                    self.begin(claimed)
            elif step == "cancel":
                self.batch.append(CancelRuns(session_id=self.session))
            elif self.ref is not None:
                self.work(step)
            if len(self.batch) >= next(self.sizes):
                self.flush()
            events(self.session)
        self.flush()
        commit_one(CancelRuns(session_id=self.session))
        self.check()

    def begin(self, ref):
        self.ref, self.open = ref, []

    def work(self, step):
        ref = self.ref
        if step == "say":
            self.batch.append(deltas(ref, partial(ref, "x", step_id=str(ref.run_id))))
        elif step == "call" and not self.open:
            self.flush()
            calls = [call_of(0), call_of(1, waits=True)]
            self.step += 1
            (first,) = commit(reply(ref, *calls, step=self.step))
            if not isinstance(first, Refused):
                self.position, self.open = first, calls
        elif step == "result" and self.open:
            self.batch.append(result(ref, self.open.pop(), self.position))
        elif step == "answer" and not self.open:
            self.batch.append(answer(ref))

    def flush(self):
        batch, self.batch = self.batch, []
        if batch:
            commit(*batch)

    def check(self):
        frames = events(self.session)
        assert_model_takes(queries.conversation(self.session).messages)
        assert not Run.objects.filter(session=self.session).unfinished().exists()
        assert not ToolCall.objects.exclude(status="done").exists()
        ends = [frame for frame in frames if frame["event"] in ("agent.final_answer", "agent.interrupted")]
        runs = [str(pk) for pk in Run.objects.filter(session=self.session).values_list("pk", flat=True)]
        assert sorted(metadata(frame, "run_id")[0] for frame in ends) == sorted(runs)
        for end in ends:
            later = [frame for frame in frames if frame["seq"] > end["seq"]]
            assert metadata(end, "run_id") not in [metadata(frame, "run_id") for frame in later]


def test_the_fields_of_an_end_reach_the_run(ref):
    commit_one(answer(ref))
    run = run_of(ref)
    assert (run.input_tokens, run.llm_calls, run.steps) == (USAGE.input_tokens, USAGE.llm_calls, 1)


def test_a_stored_message_reads_back_as_it_was(session, ref):
    call = call_of(city="X")
    commit_one(reply(ref, call, text="Let me look."))
    (asked,) = [item for item in queries.conversation(session).messages if item.tool_calls]
    assert asked == LibraryMessage.assistant("Let me look.", asked.tool_calls)
    assert asked.tool_calls[0].id == call.call_id
