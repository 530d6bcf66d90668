"""The checks of the fault suite find what they are for: each is shown a round in which one thing is wrong."""

from __future__ import annotations

import copy
import json
from collections import Counter

import pytest

from myagent.client import ServerFrame
from tests.faults.checker import check_all
from tests.faults.conversations import Conversations, State, Talk
from tests.faults.disturbances import Disturbances, Kind
from tests.faults.model import Asked, words_of
from tests.faults.plan import Plan, Step
from tests.faults.stored import Stored
from tests.faults.view import Attachment, View

SESSION, RUN = "5e55-0001", "0000-0001"
KEY = "m1/0/0"
PLAN = Plan(token="m1", steps=(Step(words=2, calls=(("slow", {"key": KEY, "seconds": 0}),)), Step(words=3)))
FIRST, LAST = words_of("m1", 0, 0, 2), words_of("m1", 1, 0, 3)


def said(event, content="", step_id=None, **metadata):
    return {"event": event, "content": content, "step_id": step_id, "metadata": {"run_id": RUN, **metadata}}


def piece(step, index, text, *, is_final=False):
    return said("agent.partial_answer", text, f"p{step}", step=step, index=index, is_final=is_final)


LOG = [
    {"event": "agent.session_created", "metadata": {}},
    said("user.message", PLAN.text, message_id="m1"),
    said("agent.thinking", step=1),
    piece(1, 0, FIRST[0]),
    piece(1, 1, FIRST[1], is_final=True),
    said("agent.tool_call", step_id="call", tool="slow", args={"key": KEY, "seconds": 0}, call_id="c1", step=1),
    said("agent.tool_result", f"done {KEY}", "call", tool="slow", status="success"),
    said("agent.thinking", step=2),
    piece(2, 0, LAST[0]),
    piece(2, 1, "".join(LAST[1:]), is_final=True),
    said("agent.final_answer", "".join(LAST)),
]


def message(position, role, content, *, calls=None, call_id=""):
    row = {"session_id": SESSION, "run_id": RUN, "position": position, "role": role, "content": content}
    return {**row, "tool_calls": calls, "tool_call_id": call_id}


class Round:
    """What is left of a round in which nothing went wrong, until a test changes it."""

    def __init__(self):
        self.log = copy.deepcopy(LOG)
        self.run = {"id": RUN, "session_id": SESSION, "status": "succeeded", "error_code": "", "attempts": 1}
        self.run |= {"queued_at": 100.0, "finished_at": 110.0}
        self.history = [
            message(1, "user", PLAN.text),
            message(2, "assistant", "".join(FIRST), calls=[{"id": "c1", "name": "slow", "arguments": "{}"}]),
            message(3, "tool", f"done {KEY}", call_id="c1"),
            message(4, "assistant", "".join(LAST)),
        ]
        self.session = {"id": SESSION, "status": "open", "title": "", "last_position": len(self.history)}
        self.talk = Talk(SESSION, frozenset({"c0"}))
        self.states = []
        self.copies = {}
        self.leftovers = []
        self.calls = [{"run_id": RUN, "step_id": "call", "outcome": "success"}]
        self.spans = [self.span("reply"), self.span("tool", "call"), self.span("reply")]
        self.copied_runs = []
        self.effects = Counter({KEY: 1})
        self.disturbances = Disturbances()
        self.asked = [self.request(0), self.request(1)]
        self.view = View("c0")
        self.seen = None

    def request(self, step, *, attempt=0, at=105.0, fault="", before=0):
        messages = [
            {"role": row["role"], "content": row["content"], "tool_calls": row["tool_calls"]}
            | ({"tool_call_id": row["tool_call_id"]} if row["tool_call_id"] else {})
            for row in self.history[: before + 1 + 2 * step]
        ]
        return Asked(at=at, token="m1", step=step, attempt=attempt, messages=tuple(messages), fault=fault)

    def span(self, kind, step_id="", *, outcome="ok", retries=0):
        return {"run_id": RUN, "kind": kind, "name": kind, "step_id": step_id, "outcome": outcome, "retries": retries}

    def disturb(self, kind):
        with self.disturbances.during(kind):
            pass
        self.disturbances.all[-1].begun, self.disturbances.all[-1].ended = 103.0, 104.0

    def frames(self):
        numbered = enumerate(self.log, 1)
        return [{**frame, "session_id": SESSION, "seq": at, "event_id": f"{SESSION}-{at}"} for at, frame in numbered]

    def problems(self):
        texts = [json.dumps(frame) for frame in self.frames()]
        events = [{"session_id": SESSION, "seq": at, "frame": text} for at, text in enumerate(texts, 1)]
        session = [{"last_seq": len(self.log)} | self.session] if self.session else []
        tables = {
            "session": session,
            "event": events,
            "run": [self.run, *self.copied_runs],
            "message": self.history,
        }
        tables |= {"toolcall": [*self.calls, *self.leftovers], "confirmation": [], "span": self.spans}
        if not session:
            tables = dict.fromkeys(tables, [])
        conversations = Conversations(["c0", "c1", "c2"], None)
        conversations.run_of["m1"], conversations.session_of["m1"] = RUN, SESSION
        conversations.talks[SESSION], conversations.states, conversations.copies = self.talk, self.states, self.copies
        attachment = Attachment(0)
        for text in texts if self.seen is None else self.seen:
            self.view.take(attachment, ServerFrame.parse(text), text)
        return check_all(Stored(tables, self.disturbances), conversations, [self.view], self.asked, self.effects)


@pytest.fixture
def finished():
    return Round()


def test_a_round_without_faults_is_right(finished):
    assert finished.problems() == []


def lose_the_end(it):
    del it.log[-1]


def end_twice(it):
    it.log.append(it.log[-1])


def go_on_after_the_end(it):
    it.log.append(piece(2, 2, "more"))


def lose_a_piece(it):
    del it.log[8]


def double_a_piece(it):
    it.log.insert(8, it.log[8])


def mix_two_attempts(it):
    it.log[8]["content"] = words_of("m1", 1, 1, 3)[0]


def lose_a_result(it):
    del it.log[6]


def double_a_result(it):
    it.log.insert(6, it.log[6])


def not_know_a_result(it):
    it.log[6]["metadata"]["status"] = "unknown"


def fail_without_reason(it):
    it.run |= {"status": "failed", "error_code": "internal_error"}
    it.log[-1] = said("agent.error", code="internal_error")


def be_poisoned_by_nothing(it):
    it.disturb(Kind.KILL)
    it.run |= {"status": "failed", "error_code": "poisoned"}
    it.log[-1] = said("agent.error", code="poisoned")


def status_and_end_differ(it):
    it.run["status"] = "cancelled"


def take_effect_twice(it):
    it.disturb(Kind.KILL)
    it.effects[KEY] = 2


def take_no_effect(it):
    it.effects.clear()


def history_without_a_result(it):
    del it.history[2]


def history_out_of_order(it):
    it.history[2]["position"], it.history[3]["position"] = 4, 3


def another_answer_in_the_history(it):
    it.history[3]["content"] = "".join(words_of("m1", 1, 1, 3))


def ask_again(it):
    it.asked.append(it.request(1, attempt=1))


def ask_for_what_is_committed(it):
    it.disturb(Kind.KILL)
    it.asked.append(it.request(0, attempt=1))


def ask_after_the_end(it):
    it.disturb(Kind.KILL)
    it.asked.append(it.request(1, attempt=1, at=120.0))


def ask_with_another_history(it):
    it.asked[1].messages[1]["content"] = "other"


def lose_a_span(it):
    del it.spans[0]


def trace_a_call_that_was_not_run(it):
    it.calls[0]["outcome"] = "declined"


def leave_a_span_open(it):
    it.disturb(Kind.KILL)
    it.spans[2]["outcome"] = "open"


def lose_a_span_of_a_call(it):
    del it.spans[1]


def forget_a_message(it):
    it.run["id"] = it.history[0]["run_id"] = "0000-0002"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lose_the_end, "has 0 ends"),
        (end_twice, "has 2 ends"),
        (go_on_after_the_end, "has 1 ends"),
        (lose_a_piece, "index 1 after 0 pieces"),
        (double_a_piece, "index 0 after 1 pieces"),
        (mix_two_attempts, "is not all of"),
        (lose_a_result, "ended with the open calls"),
        (double_a_result, "which is no open call"),
        (not_know_a_result, "is unknown without need"),
        (fail_without_reason, "failed with internal_error"),
        (be_poisoned_by_nothing, "failed with poisoned"),
        (status_and_end_differ, "but the run's status is cancelled"),
        (take_effect_twice, "took effect 2 times"),
        (take_no_effect, "took no effect"),
        (history_without_a_result, "comes before the results"),
        (history_out_of_order, "out of order"),
        (another_answer_in_the_history, "and the answer was"),
        (ask_again, "was asked for 2 times"),
        (ask_for_what_is_committed, "could have come back late"),
        (ask_after_the_end, "was asked after the end"),
        (ask_with_another_history, "was asked with"),
        (lose_a_span, "they tell of 1 requests, and the model had 2"),
        (trace_a_call_that_was_not_run, "they tell of the calls ['call'], and [] were run"),
        (lose_a_span_of_a_call, "they tell of the calls [], and ['call'] were run"),
        (leave_a_span_open, "go on"),
        (forget_a_message, "was accepted as run"),
    ],
)
def test_what_is_wrong_is_found(finished, spoil, words):
    spoil(finished)
    problems = finished.problems()
    assert any(words in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        (Kind.KILL, not_know_a_result),
        (Kind.KILL, ask_again),
        (Kind.KILL, lose_a_span),
        (Kind.KILL, lose_a_span_of_a_call),
        (Kind.PAUSE, ask_for_what_is_committed),
    ],
)
def test_what_a_disturbance_excuses(finished, kind, spoil):
    finished.disturb(kind)
    spoil(finished)
    finished.effects[KEY] = 1
    assert finished.problems() == []


# --- what becomes of sessions ---


def state_of(*messages):
    exported = [{"tool_calls": [], "tool_call_id": None} | message for message in messages]
    return State(SESSION, {"state": json.dumps({"session_id": SESSION, "messages": exported})})


QUESTION, ANSWER = {"role": "user", "content": PLAN.text}, {"role": "assistant", "content": "".join(LAST)}


def lose_the_session(it):
    it.session = {}


def delete_what_stays(it):
    it.talk.is_deleted = it.talk.may_be_deleted = True


def leave_something_behind(it):
    it.leftovers.append({"run_id": "0000-0002"})


def miscount(it):
    it.session["last_seq"] = 99


def rename(it, *titles):
    it.talk.titles += titles
    it.log += [{"event": "agent.session_updated", "metadata": {"title": title}} for title in titles]
    it.session["title"] = titles[-1]


def rename_twice_by_one_wish(it):
    rename(it, "a", "a")


def rename_without_effect(it):
    rename(it, "a", "b")
    it.session["title"] = "a"


def close(it):
    it.talk.may_be_closed = True
    it.session["status"] = "closed"
    it.log.append({"event": "agent.session_end", "metadata": {}})


def close_by_nobody(it):
    close(it)
    it.talk.may_be_closed = False


def close_without_a_word(it):
    close(it)
    del it.log[-1]


def go_on_after_the_close(it):
    it.log.insert(2, {"event": "agent.session_end", "metadata": {}})
    it.talk.may_be_closed = True
    it.session["status"] = "closed"


def export_what_was_not_said(it):
    it.states.append(state_of(QUESTION, {"role": "assistant", "content": "other"}))


def export_in_another_order(it):
    it.states.append(state_of(ANSWER, QUESTION))


def restore_something_else(it):
    it.copies[SESSION] = state_of(QUESTION)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lose_the_session, "is not stored"),
        (delete_what_stays, "although a server said that it was deleted"),
        (leave_something_behind, "rows of the deleted runs"),
        (miscount, "events and"),
        (rename_twice_by_one_wish, "twice, or by nobody"),
        (rename_without_effect, "was called 'b' last"),
        (close_by_nobody, "has 1 ends"),
        (close_without_a_word, "has 0 ends"),
        (go_on_after_the_close, "came after it was closed"),
        (export_what_was_not_said, "are not in its history"),
        (export_in_another_order, "are not in its history"),
        (restore_something_else, "and begins with []"),
    ],
)
def test_what_is_wrong_with_a_session_is_found(finished, spoil, words):
    spoil(finished)
    problems = finished.problems()
    assert any(words in problem for problem in problems), problems


def delete(it):
    it.session, it.talk.is_deleted, it.talk.may_be_deleted = {}, True, True


def rename_in_order(it):
    rename(it, "a", "b")


def export(it):
    it.states.append(state_of(QUESTION, ANSWER))


@pytest.mark.parametrize("act", [close, delete, rename_in_order, export])
def test_what_may_be_done_to_a_session(finished, act):
    finished.seen = sent(finished, 1, 2, 3)
    act(finished)
    assert finished.problems() == []


def test_a_session_that_was_made_from_a_state(finished):
    """It has a run more than messages in its log, and the model is told what that run holds."""
    copied = "0000-0000"
    before = [message(1, "user", 'FAULTS ["m0", []]'), message(2, "assistant", "answered")]
    for row in before:
        row["run_id"] = copied
    for position, row in enumerate([*before, *finished.history], 1):
        row["position"] = position
    finished.history = [*before, *finished.history]
    finished.session["last_position"] = len(finished.history)
    finished.asked = [finished.request(step, before=len(before)) for step in range(2)]
    finished.copied_runs.append({**finished.run, "id": copied, "queued_at": 90.0, "finished_at": 90.0})
    exported = [{"role": row["role"], "content": row["content"]} for row in before]
    finished.copies[SESSION] = state_of(*exported)
    assert finished.problems() == []
    finished.copies[SESSION] = state_of(exported[0])
    assert "and begins with" in finished.problems()[0]


# --- what clients are sent ---


def sent(finished, *seqs):
    """What a connection was sent, one number after the other."""
    frames = finished.frames()
    return [json.dumps(frames[seq - 1]) for seq in seqs]


@pytest.mark.parametrize(
    ("seqs", "words"),
    [
        ((1, 2, 3, 3), "came twice or too late"),
        ((1, 2, 4, 3), "came twice or too late"),
        ((1, 2, 3, 5), "was never sent"),
        ((1, 3), "was never sent"),
    ],
)
def test_a_wrong_sequence_is_found(finished, seqs, words):
    finished.seen = sent(finished, *seqs)
    assert any(words in problem for problem in finished.problems())


def test_other_bytes_under_the_same_number_are_found(finished):
    finished.seen = sent(finished, 1, 2)
    finished.log[1]["content"] = PLAN.text + " "
    assert any("seen was" in problem for problem in finished.problems())


def test_a_replay_that_ends_too_early_is_found(finished):
    finished.seen = sent(finished, 1, 2, 3)
    finished.view.complete.add(SESSION)
    assert any("were not sent again" in problem for problem in finished.problems())


def test_the_own_message_need_not_come_back(finished):
    attachment = Attachment(0, own={"m1"})
    for text in sent(finished, 1, 3, 4):
        finished.view.take(attachment, ServerFrame.parse(text), text)
    finished.seen = []
    assert finished.problems() == []


def test_a_replay_that_says_another_number_is_found(finished):
    attachment = Attachment(0)
    for text in sent(finished, 1, 2):
        finished.view.take(attachment, ServerFrame.parse(text), text)
    notice = ServerFrame(event="system.notice", session_id=SESSION, metadata={"replayed": 3, "last_seq": 2})
    finished.view.replayed(attachment, notice)
    assert "3 events were sent again, 2 came" in finished.view.problems[0]
