"""The log of a run, event by event, as texts of OpenAI's Chat Completions."""

from __future__ import annotations

import json

import pytest

from myagent.protocol.codec import encode
from myagent.protocol.server_events import FinalAnswer, FinalMetadata, UsageMetadata
from sessions_app.web.openai_door.completions.chat_completion import Completion, CompletionChunks, WholeCompletion
from sessions_app.web.openai_door.completions.run_text import RunText

RUN, OTHER = "r-1", "r-2"
LIVE = {"event": "system.notice", "content": "", "metadata": {"action": "replay", "replayed": 0}}
USAGE = {"input_tokens": 7, "output_tokens": 3, "llm_calls": 1, "cached_input_tokens": 2, "reasoning_tokens": 1}
pytestmark = pytest.mark.usefixtures("in_english")


def event(name, content="", step_id=None, run_id=RUN, **metadata):
    frame = {"event": name, "content": content, "metadata": {"run_id": run_id, **metadata}}
    return frame if step_id is None else {**frame, "step_id": step_id}


def step(number, **more):
    return event("agent.thinking", "Analysing your question...", step=number, **more)


def said(text, number=1):
    return event("agent.partial_answer", text, "s", step=number, index=0, is_final=False)


def final(content, **more):
    return event("agent.final_answer", content, **{"finish": "answer", "steps": 1, "usage": USAGE} | more)


def asked(step_id="q-1", call="c-1", **args):
    question = {"tool_name": "write", "tool_args": args, "call_step_id": call, "timeout_seconds": 300.0}
    return event("agent.user_confirm", "Allow the call of write?", step_id, **question)


def told(*frames, **options):
    """What the frames come to: the text object, the joined content, the joined reasoning."""
    text = RunText(RUN, **options)
    deltas = [delta for frame in frames for delta in text.take(frame)]
    content = "".join(delta.get("content", "") for delta in deltas)
    assert content == text.content
    reasoning = "".join(delta.get("reasoning_content", "") for delta in deltas)
    assert reasoning == text.reasoning
    return text, content, reasoning


def test_an_answer_of_one_step():
    text, content, reasoning = told(step(1), step(1, reasoning=True), said("Hel"), said("lo"), final("Hello"))
    assert (content, reasoning) == ("Hello", "Analysing your question...")
    assert (text.ending.content, text.ending.finish_reason, text.ending.facts) == (
        "Hello",
        "stop",
        {"finish": "answer"},
    )
    assert text.ending.usage == {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }


def test_what_is_of_other_runs_or_comes_after_the_end_is_nothing():
    other = [event("agent.partial_answer", "no", "s", OTHER), event("agent.interrupted", "", run_id=OTHER)]
    text, content, _ = told(*other, said("a"), final("a"), said("late"), final("later"))
    assert (content, text.ending.content) == ("a", "a")


@pytest.mark.parametrize(
    ("frames", "content"),
    [
        ([step(1), final("all at once, as after compaction")], "all at once, as after compaction"),
        ([step(1), said("the beg"), final("the beginning")], "the beginning"),
        ([step(1), said("the end \n"), final("the end")], "the end \n"),
        ([step(1), said("I will look."), step(2), said("Found.", 2), final("Found.")], "I will look.\n\nFound."),
        ([step(1), said("I will look."), step(2), final("Found.")], "I will look.\n\nFound."),
        ([step(1), said("I say this"), final("They say that", finish="terminate")], "I say this\n\nThey say that"),
    ],
)
def test_the_deltas_are_joined_to(frames, content):
    text, shown, _ = told(*frames)
    assert shown == content
    assert text.ending.facts.get("answer", shown) == text.ending.content == frames[-1]["content"]


def test_void_text_stays_and_a_line_says_so():
    reset = event("agent.step_reset", step=1, reason="stream_cut")
    text, content, _ = told(step(1), reset, said("It is "), reset, said("It was"), final("It was"))
    assert content == "It is \n\n*The text above is void. The answer begins once more:*\n\nIt was"
    assert text.ending.facts["answer"] == text.ending.content == "It was"


def test_tools_are_lines_of_the_reasoning():
    _, content, reasoning = told(
        step(1),
        event("agent.thinking", "Hm", reasoning=True),
        event("agent.tool_call", "Calling tool: add", "c-1", tool="add", args={}),
        event("agent.tool_progress", "3 files", "c-1", tool="add", percent=30.0),
        event("agent.tool_progress", "more", "c-1", tool="add"),
        event("agent.tool_result", "3", "c-1", tool="add", status="success"),
        event("agent.tool_result", "no", "c-2", tool="sub", status="failed"),
        final("3"),
    )
    assert reasoning == "Hm\nCalling tool: add\nadd: 3 files (30 %)\nadd: more\nsub: failed\n"
    assert content == "3"


def test_a_question_ends_what_is_live():
    text, content, _ = told(LIVE, step(1), said("Soon."), asked(path="x"), said("never"))
    assert content.startswith('Soon.\n\nAllow the call of write?\n\n```json\n{\n  "path": "x"\n}\n```\n\n')
    assert (text.ending.kind, text.ending.finish_reason, text.ending.usage) == ("question", "stop", None)
    (question,) = text.ending.facts["confirmations"]
    assert (question["step_id"], question["tool_args"]) == ("q-1", {"path": "x"})


def test_questions_in_the_log_count_only_if_nobody_has_answered_them():
    answer = event("user.response", {"confirmed": True}, "q-1")
    late = event("agent.tool_result", "", "c-2", tool="write", status="declined")
    text, content, _ = told(asked(), asked("q-2", "c-2"), answer, late, LIVE, said("done"), final("done"))
    assert (content, text.ending.kind) == ("declined" and "done", "answer")
    text, _, _ = told(asked(), asked("q-2", "c-2"), answer, LIVE)
    assert [one["step_id"] for one in text.ending.facts["confirmations"]] == ["q-2"]


@pytest.mark.parametrize("finish", ["answer", "terminate", "max_steps", "limit", "refused", "length"])
def test_how_an_answer_ends(finish):
    text, _, _ = told(final("words", finish=finish, limit={"which": "max_steps"}))
    assert text.ending.finish_reason == ("length" if finish == "length" else "stop")
    assert text.ending.facts == {"finish": finish, "limit": {"which": "max_steps"}}


def test_other_ends():
    text, _, _ = told(said("half"), event("agent.interrupted", "The run was cancelled.", reason="user"))
    assert (text.ending.kind, text.ending.content) == ("interrupted", "half")
    assert text.ending.facts == {"finish": "interrupted", "reason": "user"}
    text, _, _ = told(said("half"), event("agent.error", "No money.", code="budget_exceeded", scope="user"))
    assert (text.ending.kind, text.ending.code, text.ending.facts) == ("error", "budget_exceeded", {"scope": "user"})
    text, _, _ = told({"event": "agent.session_deleted", "content": "Gone.", "metadata": {}})
    assert (text.ending.kind, text.ending.code) == ("error", "session_not_found")


def test_an_answer_that_is_a_value_is_told_when_it_is_whole():
    reset = event("agent.step_reset", step=1, reason="output_invalid")
    frames = [step(1), said('{"a":'), reset, said('{"a": 1}'), final("- **a**: 1", output={"a": 1})]
    text, content, _ = told(*frames, as_value=True)
    assert content == text.ending.content == '{"a":1}'
    assert text.ending.facts == {"finish": "answer", "output": {"a": 1}}
    for frame in (final("I will not.", finish="refused"), event("agent.interrupted", "Cancelled.", reason="user")):
        text, content, _ = told(said('{"a"'), frame, as_value=True)
        assert (content, text.ending.content, text.ending.refusal) == ("", "", frame["content"])
    text, content, _ = told(LIVE, asked(), as_value=True)
    assert content == "" and text.ending.refusal.startswith("Allow the call")


async def test_frames_as_they_are_stored():
    metadata = FinalMetadata(run_id=RUN, steps=1, duration_ms=1, usage=UsageMetadata(**USAGE), finish="answer")
    stored = encode(FinalAnswer(content="你好", metadata=metadata), session_id="s-1", seq=9)
    completion = Completion(session_id="s-1", run_id=RUN, model="m", created=5)
    form = CompletionChunks(text=RunText(RUN), completion=completion, include_usage=True)
    of_another = '{"event":"agent.interrupted","metadata":{"run_id":"r-2"}}'
    assert await form.written(of_another) == b"" and not form.is_last("")
    written = await form.written(stored)
    events = [piece.removeprefix("data: ") for piece in written.decode().split("\n\n")]
    assert form.is_last(stored) and events[-2:] == ["[DONE]", ""]
    delta, last, usage = map(json.loads, events[:-2])
    assert delta["choices"][0]["delta"] == {"content": "你好"} and last["myagent"]["session_id"] == "s-1"
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 10)
    whole = WholeCompletion(text=RunText(RUN))
    assert await whole.written(stored) == b"" and whole.is_last(stored)
    assert completion.whole(whole.text, whole.text.ending)["choices"][0]["message"]["content"] == "你好"
