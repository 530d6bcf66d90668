"""The verdict on a round finds what is wrong: a round in which all is well is spoilt in one way after the other."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from myagent.client import ServerFrame
from myagent.llm.requests.request_messages import RESULTS_SEEN
from tests.faults.kills.draw import Drawn
from tests.faults.kills.killed_round import CLOSING, Outcome
from tests.faults.kills.script import BROKEN, FIRST, KEY, SECOND, Asked
from tests.faults.kills.terms import CLOSED, FORBIDDEN, MASKED, SECRET
from tests.faults.kills.verdict import Verdict

OPTIONS = ("fallback", "limits", "steering")
KILLED_AT = 150.0


def user(text):
    return {"role": "user", "content": text}


def exchange(key):
    made = [{"id": key, "function": {"name": "once", "arguments": "{}"}}]
    return [
        {"role": "assistant", "content": "", "tool_calls": made},
        {"role": "tool", "content": "done", "tool_call_id": key},
    ]


BEGUN = [user("[m0] go on")]
STEERED = [*BEGUN, *exchange("k"), {"role": "assistant", "content": RESULTS_SEEN}, user("[s0] go on")]
ENDED = [*STEERED, {"role": "assistant", "content": "the words"}, user(f"[{CLOSING}] the end")]


class Played:
    """A round of one run, which a message steers and the second model answers, and its closing one."""

    def __init__(self):
        self.options, self.texts, self.fails = OPTIONS, {"m0": "go on", "s0": "go on"}, BROKEN
        self.effects = Counter({"k": 1})
        self.asked = [
            self.request(FIRST, 100, BEGUN, fault=BROKEN),
            self.request(SECOND, 101, BEGUN),
            self.request(SECOND, 200, STEERED, text="the words"),
            self.request(SECOND, 300, ENDED, text="bye"),
        ]
        self.log = []
        self.say("m0", "r1")
        self.add("agent.tool_call", "r1", step_id="c1", tool="once", args={"key": "k"})
        self.add("agent.tool_result", "r1", step_id="c1", tool="once", status="success")
        self.say("s0", "r1")
        self.answer("the words", "r1")
        self.say(CLOSING, "r2")
        self.answer("bye", "r2")
        self.outcome = Outcome(None, accepted={"m0", "s0"}, kills=[KILLED_AT])

    def request(self, model, at, messages, **more):
        body = {"messages": [{"role": "system", "content": ""}, *messages]}
        return Asked(**{"at": at, "model": model, "body": body, "fault": ""} | more)

    def add(self, event, run_id, content=None, step_id=None, **metadata):
        metadata["run_id"] = run_id
        self.log.append(ServerFrame(event=event, content=content, step_id=step_id, metadata=metadata))

    def say(self, name, run_id):
        self.add("user.message", run_id, f"[{name}] go on", message_id=name)

    def answer(self, text, run_id):
        self.add("agent.partial_answer", run_id, text, step_id=f"{run_id}-1", step=1, index=0, is_final=True)
        usage = {"model": SECOND, "llm_calls": 1}
        self.add("agent.final_answer", run_id, text, finish="answer", usage=usage)

    def problems(self):
        drawn = Drawn(
            seed="",
            options=self.options,
            mains=("m0",),
            texts=self.texts,
            plans={},
            acts=(),
            kills=(),
            fails=self.fails,
            fails_from=1,
        )
        known = {"session_id": "s", "timestamp": "2026-01-01T00:00:00Z"}
        frames = [
            dataclasses.replace(frame, **known, seq=seq, event_id=f"s-{seq}") for seq, frame in enumerate(self.log, 1)
        ]
        outcome = dataclasses.replace(self.outcome, drawn=drawn, frames=frames, asked=self.asked)
        return list(Verdict(outcome, self.effects).problems())


@pytest.fixture
def played():
    return Played()


def test_all_is_well(played):
    assert played.problems() == []


def read_twice(it):
    it.say("s0", "r1")
    it.log.insert(4, it.log.pop())


def lose_a_message(it):
    it.outcome.accepted.add("s1")


def read_what_was_taken_back(it):
    it.outcome.taken_back.add("s0")


def send_a_message_twice(it):
    it.asked[2] = it.request(SECOND, 200, [*STEERED, user("[s0] go on")])


def send_what_is_not_logged(it):
    it.asked[2] = it.request(SECOND, 200, [*STEERED, user("[s1] go on")], text="the words")


def forget_a_message(it):
    it.asked[3] = it.request(SECOND, 300, [*BEGUN, user(f"[{CLOSING}] the end")], text="bye")


def ask_again(it):
    it.asked[2:2] = [it.request(SECOND, 201 + number, STEERED) for number in range(2)]


def take_too_many_steps(it):
    steps = [*BEGUN, *[message for number in range(5) for message in exchange(f"k{number}")]]
    it.asked[2:2] = [it.request(SECOND, 110 + number, steps[: 1 + 2 * number]) for number in range(2, 6)]


def run_too_many_calls(it):
    for number in range(6):
        it.effects[f"k{number}"] = 1
        facts = {"step_id": f"d{number}", "tool": "once"}
        it.log.insert(3, ServerFrame(event="agent.tool_result", step_id=f"d{number}", metadata={"run_id": "r1"}))
        call = {"run_id": "r1", "tool": "once", "args": {"key": f"k{number}"}}
        it.log.insert(3, ServerFrame(event="agent.tool_call", step_id=facts["step_id"], metadata=call))


def repeat_a_call(it):
    it.effects["k"] = 2


def end_twice(it):
    it.log.insert(5, it.log[-1])
    it.log[5] = dataclasses.replace(it.log[5], metadata=it.log[5].metadata | {"run_id": "r1"})


def mix_two_models(it):
    it.log[4] = dataclasses.replace(it.log[4], content="half the words")


def answer_what_nobody_said(it):
    it.asked[2] = dataclasses.replace(it.asked[2], text="other words")


def name_the_wrong_model(it):
    it.asked[2] = dataclasses.replace(it.asked[2], model=FIRST)


def probe_too_soon(it):
    it.asked.insert(2, it.request(FIRST, 110, STEERED, fault=BROKEN))


def turn_back(it):
    facts = {"run_id": "r1", "step": 1, "reason": "fallback"}
    it.log.insert(1, ServerFrame(event="agent.step_reset", metadata=facts))
    it.asked.insert(2, it.request(FIRST, 2_000_000_000, STEERED))


def hide_a_bad_key(it):
    it.asked[0] = dataclasses.replace(it.asked[0], fault=KEY)


def end_by_nobody(it):
    it.log[5] = ServerFrame(event="agent.interrupted", metadata={"run_id": "r1"})


def fail_without_a_reason(it):
    it.log[5] = ServerFrame(event="agent.error", content="oh", metadata={"run_id": "r1", "code": "llm_unavailable"})


def send_what_hooks_refuse(it):
    it.options, it.texts = ("hooks",), {"m0": FORBIDDEN, "s0": ""}


def send_what_hooks_mask(it):
    it.options = ("hooks",)
    it.texts = {"m0": MASKED, "s0": ""}
    it.asked[1] = it.request(SECOND, 101, [user(f"[m0] {MASKED}")])


def show_what_hooks_refuse(it):
    it.options = ("hooks",)
    it.log[4] = dataclasses.replace(it.log[4], content=SECRET)


def run_what_hooks_refuse(it):
    it.options, it.effects = ("hooks",), Counter({CLOSED: 1})
    it.log[1] = dataclasses.replace(it.log[1], metadata=it.log[1].metadata | {"args": {"key": CLOSED}})


def answer_without_a_value(it):
    it.options = ("output",)
    it.log[5] = dataclasses.replace(it.log[5], metadata=it.log[5].metadata | {"output": {"total": "much"}})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (read_twice, "logged are"),
        (lose_a_message, "logged are"),
        (read_what_was_taken_back, "logged are"),
        (send_a_message_twice, "['s0'] are there twice"),
        (send_what_is_not_logged, "or not logged"),
        (forget_a_message, "the last request has"),
        (ask_again, "1 kills, and the steps"),
        (take_too_many_steps, "steps, allowed are 5"),
        (run_too_many_calls, "calls took effect, 5 are allowed"),
        (repeat_a_call, "once k took effect 2 times"),
        (end_twice, "it has 2 ends"),
        (mix_two_models, "shown was"),
        (answer_what_nobody_said, "no reply holds the answer"),
        (name_the_wrong_model, "the answer came from ['first']"),
        (probe_too_soon, "one process asked a dead model"),
        (turn_back, "although it had turned"),
        (hide_a_bad_key, "went on behind a refused key"),
        (end_by_nobody, "nobody cancelled it"),
        (fail_without_a_reason, "it failed with llm_unavailable"),
        (send_what_hooks_refuse, "m0 was refused, and sent"),
        (send_what_hooks_refuse, "['m0'] was to be refused"),
        (send_what_hooks_mask, "m0 was sent as it is"),
        (show_what_hooks_refuse, "what hooks refuse was shown"),
        (run_what_hooks_refuse, "allowed are 0"),
        (answer_without_a_value, "its output is"),
    ],
)
def test_what_is_wrong_is_found(played, spoil, words):
    spoil(played)
    problems = played.problems()
    assert any(words in problem for problem in problems), problems


def excuse_a_kill(it):
    it.asked.insert(2, it.request(SECOND, 149, STEERED))


def excuse_a_probe_of_the_next_process(it):
    it.asked.insert(2, it.request(FIRST, 160, STEERED, fault=BROKEN))


def excuse_a_cancel(it):
    it.outcome.cancels = 1
    it.log[5] = ServerFrame(event="agent.interrupted", metadata={"run_id": "r1"})


def excuse_what_may_have_been_taken_back(it):
    it.outcome.accepted.add("s1")
    it.outcome.perhaps_taken_back.add("s1")


def excuse_what_was_taken_back_from_the_queue(it):
    it.outcome.accepted.add("s1")
    it.outcome.taken_back.add("s1")
    it.say("s1", "r3")
    it.add("agent.interrupted", "r3", reason="withdrawn")


@pytest.mark.parametrize(
    "excuse",
    [
        excuse_a_kill,
        excuse_a_probe_of_the_next_process,
        excuse_a_cancel,
        excuse_what_may_have_been_taken_back,
        excuse_what_was_taken_back_from_the_queue,
    ],
)
def test_what_is_excused(played, excuse):
    excuse(played)
    assert played.problems() == []
