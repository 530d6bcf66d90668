"""Events in, pieces of the screen out; no terminal, no server."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from myagent import i18n
from myagent.client import ServerFrame
from myagent.terminal.blocks import (
    Answer,
    Answered,
    Failed,
    Finished,
    Note,
    Stopped,
    Thought,
    ToolOutcome,
    UserText,
    Voided,
    newest,
)
from myagent.terminal.transcript import Transcript

USAGE = {"input_tokens": 7, "output_tokens": 3, "llm_calls": 2}


@pytest.fixture(autouse=True)
def english():
    i18n.use_language("en")
    yield
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


class Session:
    """Makes the frames of a session, one second apart, and hands them to a transcript."""

    def __init__(self) -> None:
        self.transcript = Transcript(clock=itertools.count(100).__next__)
        self._seq = itertools.count(1)

    def direct(self, event: str, content: Any = "", **metadata: Any) -> list:
        return self.transcript.take(ServerFrame(event=event, session_id="s", content=content, metadata=metadata))

    def logged(
        self, event: str, content: Any = "", step_id: str | None = None, run: str = "r", **metadata: Any
    ) -> list:
        seq = next(self._seq)
        if run:
            metadata["run_id"] = run
        frame = ServerFrame(
            event=event,
            session_id="s",
            seq=seq,
            event_id=f"s-{seq}",
            step_id=step_id,
            content=content,
            metadata=metadata,
            timestamp=f"2026-01-31T12:00:{seq:02}.000Z",
        )
        return self.transcript.take(frame)

    def think(self, step: int = 1) -> list:
        return self.logged("agent.thinking", "Analysing…", step=step)

    def reason(self, text: str, step: int = 1) -> list:
        return self.logged("agent.thinking", text, step=step, reasoning=True, index=0)

    def write(self, text: str, step: int = 1) -> list:
        return self.logged("agent.partial_answer", text, step=step, index=0)

    def call(self, key: str = "c", tool: str = "add", step: int = 1, **args: Any) -> list:
        return self.logged("agent.tool_call", "", key, tool=tool, args=args, status="running", step=step, call_id="x")

    def result(
        self, key: str = "c", status: str = "success", content: str = "3", tool: str = "add", **more: Any
    ) -> list:
        return self.logged("agent.tool_result", content, key, tool=tool, status=status, duration_ms=400, **more)

    def confirm(self, key: str = "q", call: str = "c", **args: Any) -> list:
        facts = {"tool_name": "add", "tool_description": "Adds", "tool_args": args, "timeout_seconds": 300.0}
        return self.logged("agent.user_confirm", "Allow?", key, call_step_id=call, requires_confirmation=True, **facts)

    def final(self, text: str, **more: Any) -> list:
        facts = {"steps": 2, "duration_ms": 3100, "usage": USAGE, "finish": "answer"} | more
        return self.logged("agent.final_answer", text, **facts)


@pytest.fixture
def session():
    return Session()


FINISHED = Finished(steps=2, seconds=3.1, input_tokens=7, output_tokens=3, finish="answer")


def test_a_run_with_a_tool(session):
    assert session.logged("user.message", "1 + 2?", message_id="m") == [UserText("1 + 2?")]
    assert session.think() == []
    assert session.transcript.is_busy
    assert session.write("I shall ") == session.write("add.") == []
    assert session.transcript.step.text == "I shall add."
    assert session.call(a=1, b=2) == [Answer("I shall add.", is_final=False)]
    (call,) = session.transcript.calls.values()
    assert (call.tool, call.args) == ("add", {"a": 1, "b": 2})
    assert session.logged("agent.tool_progress", "half", "c", tool="add", percent=50.0) == []
    assert (call.progress, call.percent) == ("half", 50.0)
    assert session.result(data={"sum": 3}) == [
        ToolOutcome(tool="add", args={"a": 1, "b": 2}, status="success", seconds=0.4, output="3")
    ]
    assert session.transcript.calls == {}
    assert session.think(2) == session.write("It is", 2) == session.write(" 3.", 2) == []
    assert session.final("It is 3.") == [Answer("It is 3."), FINISHED]
    assert not session.transcript.is_busy
    assert session.transcript.step is None


def test_reasoning_is_folded_when_something_else_comes(session):
    session.think()  # at second 1
    assert session.reason("First ") == session.reason("this.") == []
    assert session.transcript.step.reasoning == "First this."
    assert session.write("Hello") == [Thought(3.0, "First this.")]
    assert session.write(" there") == []
    session.think(2)
    session.reason("Now a tool", 2)
    assert session.call(step=2) == [Thought(2.0, "Now a tool")]
    session.result()
    session.think(3)
    session.reason("And the end", 3)
    assert session.final("Hello there") == [Thought(2.0, "And the end"), Answer("Hello there"), FINISHED]


def test_what_a_reset_makes_void_comes_again_once(session):
    session.think()
    session.reason("hm")
    session.write("one two")
    assert session.logged("agent.step_reset", step=1, reason="restart") == [Voided()]
    assert session.transcript.step.text == ""
    session.think()
    session.write("one two three")
    assert session.final("one two three") == [Answer("one two three"), FINISHED]


def test_a_reset_of_what_was_never_seen(session):
    assert session.logged("agent.step_reset", step=1, reason="restart") == []


def test_the_final_answer_stands_for_the_last_text(session):
    session.write("Half an ans")
    assert session.final("Half an answer.") == [Answer("Half an answer."), FINISHED]
    session.write("Bye.")
    assert session.call(tool="terminate") == [Answer("Bye.", is_final=False)]
    session.result(tool="terminate")
    assert session.final("Bye.", finish="terminate")[:-1] == [], "it was printed beside the call"


def test_calls_side_by_side(session):
    session.call("c", x=1)
    session.call("d", x=2)
    assert list(session.transcript.calls) == ["c", "d"]
    assert session.result("d")[0].args == {"x": 2}
    assert session.result("c", "failed", "boom", error="RuntimeError")[0] == ToolOutcome(
        tool="add", args={"x": 1}, status="failed", seconds=0.4, output="boom", error="RuntimeError"
    )


def test_pictures_of_a_result_are_named(session):
    pictures = [
        {"media_type": "image/gif", "data": "R0lGODlhAQABAIAAAAAAAP=="},
        {"media_type": "image/new", "data": "?"},
    ]
    (block,) = session.result("c", images=pictures)
    assert block.pictures == ("[image image/gif 1x1, 1 KB]", "[image image/new]")


def test_a_result_whose_call_was_not_seen(session):
    assert session.result("z")[0].args == {}
    assert session.logged("agent.tool_progress", "half", "z", tool="add") == []


@pytest.mark.parametrize(
    ("event", "metadata", "block"),
    [
        ("agent.interrupted", {"reason": "user"}, Stopped("words")),
        ("agent.error", {"code": "llm_auth"}, Failed("words", "llm_auth")),
    ],
)
def test_other_ends_keep_what_was_shown(session, event, metadata, block):
    session.call("c")
    session.confirm()
    session.write("Half an ans", step=2)
    assert session.logged(event, "words", **metadata) == [Answer("Half an ans", is_final=False), block]
    transcript = session.transcript
    assert (transcript.is_busy, transcript.calls, transcript.questions, transcript.step) == (False, {}, {}, None)


def test_questions(session):
    session.call("c", path="x")
    session.confirm("q", "c", path="x")
    (question,) = session.transcript.questions.values()
    assert (question.step_id, question.call_step_id, question.tool) == ("q", "c", "add")
    assert (question.description, question.args, question.words) == ("Adds", {"path": "x"}, "Allow?")
    assert question.timeout_seconds == 300
    assert session.transcript.answered("q", {"path": "y"})
    assert not session.transcript.answered("q")
    assert session.transcript.calls["c"].args == {"path": "y"}
    assert session.result("c")[0].args == {"path": "y"}


def test_a_question_about_no_call_is_over_when_the_run_moves_on(session):
    session.call("c")
    session.confirm("q", "c")
    session.confirm("hook", "")
    assert set(session.transcript.questions) == {"q", "hook"}
    session.logged("agent.thinking", "…", step=2, reasoning=False)
    assert set(session.transcript.questions) == {"q"}


def test_answers_from_elsewhere(session):
    session.call("c")
    session.confirm("q")
    content = {"confirmed": False, "reason": "not that"}
    assert session.logged("user.response", content, "q") == [Answered(False, "not that")]
    assert session.transcript.questions == {}
    assert session.logged("user.response", content, "q") == [], "not asked any more"
    session.confirm("r")
    assert session.logged("user.response", {"confirmed": True, "args": {"x": 2}}, "r") == [Answered(True)]
    assert session.transcript.calls["c"].args == {"x": 2}


def test_a_question_ends_with_its_call(session):
    session.call("c")
    session.confirm("q", "c")
    session.call("d")
    session.confirm("r", "d")
    session.result("c", "declined", "nobody answered")
    assert list(session.transcript.questions) == ["r"]


def test_runs_that_wait(session):
    session.transcript.expect("r")
    session.transcript.expect("later")
    session.think()
    session.final("one")
    assert session.transcript.is_busy, "the other one is still to come"
    session.logged("agent.interrupted", "cancelled", run="later", reason="user")
    assert not session.transcript.is_busy
    session.transcript.expect("r")
    assert not session.transcript.is_busy, "its end came before the notice that it was accepted"


def test_when_nothing_goes_on_as_the_server_says(session):
    session.transcript.expect("r")
    session.call("c")
    assert session.direct("agent.interrupted", "Nothing is running.", reason="idle") == []
    assert not session.transcript.is_busy and session.transcript.calls == {}


def test_the_session_itself(session):
    assert session.logged("agent.session_created", run="", agent_name="weather") == []
    assert session.transcript.agent == "weather"
    title = {"title": "A title", "metadata": {}}
    assert session.logged("agent.session_updated", run="", **title) == [Note("Title: A title")]
    assert session.logged("agent.session_updated", run="", **title) == []
    assert "closed" in session.logged("agent.session_end", run="")[0].words
    assert session.transcript.is_closed and not session.transcript.is_gone
    assert "deleted" in session.direct("agent.session_deleted")[0].words
    assert session.transcript.is_gone


def test_refusals(session):
    told = {"code": "no_pending_confirmation", "request": "user.response"}
    assert session.direct("agent.error", "Not asked.", **told) == [Failed("Not asked.", "no_pending_confirmation")]
    assert session.direct("system.error", "Bad.", code="bad_json") == [Failed("Bad.", "bad_json")]
    awaited = {"code": "empty_message", "request": "user.message"}
    assert session.direct("agent.error", "Blank.", **awaited) == [], "it is raised to whoever said it"


def test_what_later_versions_send(session):
    assert session.logged("agent.dreaming", "…") == []
    assert session.direct("system.news", {"a": 1}) == []
    session.write("Hel")
    assert session.logged("agent.final_answer", "Hello", cost=3) == [Answer("Hel", is_final=False), Answer("Hello")]
    assert not session.transcript.is_busy


def test_the_place_in_the_queue_is_shown_until_the_run_starts(session):
    session.logged("user.message", "hi")
    for words in ("Waiting: 2 before you", "Waiting: you are next"):
        assert session.direct("system.notice", words, action="queued", run_id="r", position=1) == []
        assert session.transcript.place == words
    session.logged("user.message", "and this", run="s")
    assert session.transcript.place
    session.think()
    assert session.transcript.place == ""


def test_notices_for_people(session):
    words = "You have used 83 % of your tokens."
    assert session.direct("system.notice", words, action="budget", percent=83) == [Note(words, "warning")]
    assert session.direct("system.notice", "Accepted.", action="accepted", message_id="m") == []


def test_pictures(session):
    parts = [{"type": "text", "text": "What is"}, {"type": "image_url", "image_url": {"url": "data:…"}}]
    assert session.logged("user.message", parts, message_id="m") == [UserText("What is [picture]")]


def test_times_that_cannot_be_read(session):
    frame = ServerFrame(
        event="agent.thinking", seq=1, content="hm", metadata={"run_id": "r", "step": 1, "reasoning": True}
    )
    session.transcript.take(frame)
    (thought,) = session.write("text")
    assert thought.seconds == 1, "by this computer's clock, then"


def test_the_end_of_an_older_conversation():
    blocks = [block for number in range(5) for block in (UserText(f"{number}"), Answer(f"a{number}"))]
    assert newest(blocks, 5) == blocks
    shown = newest(blocks, 2)
    assert shown[1:] == blocks[-4:]
    assert shown[0] == Note("Earlier messages that are not shown: 3")
