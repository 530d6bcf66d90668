"""The log of a run, event by event, as what a call of a tool returns."""

from __future__ import annotations

import jsonschema
import pytest

from sessions_app.web.mcp_door.run_result import RunResult, refused
from sessions_app.web.mcp_door.tool_names import OUTPUT_SCHEMA

RUN, SESSION = "r-1", "s-1"
USAGE = {"input_tokens": 7, "output_tokens": 3, "llm_calls": 1}
pytestmark = pytest.mark.usefixtures("in_english")


def event(name, content="", step_id=None, seq=1, **metadata):
    frame = {"event": name, "content": content, "seq": seq, "metadata": {"run_id": RUN, **metadata}}
    return frame if step_id is None else {**frame, "step_id": step_id}


def called(step_id="c-1"):
    return event("agent.tool_call", "Calling tool: write", step_id, tool="write", args={}, step=1)


def returned(step_id="c-1", status="success"):
    return event("agent.tool_result", "done", step_id, tool="write", status=status, duration_ms=1)


def asked(step_id="q-1", call="c-1", **args):
    about = {"tool_name": "write", "tool_args": args, "call_step_id": call, "timeout_seconds": 300.0}
    return event("agent.user_confirm", "Allow the call of write?", step_id, **about)


def final(content, **more):
    return event("agent.final_answer", content, **{"finish": "answer", "steps": 1, "usage": USAGE} | more)


def result_of(*frames, **options):
    result = RunResult(SESSION, RUN, tool="ask_tools", **options)
    for frame in frames:
        result.take(frame)
    return result


def texts(returned):
    return [part["text"] for part in returned["content"]]


def checked(returned):
    jsonschema.validate(returned["structuredContent"], OUTPUT_SCHEMA)
    return returned["structuredContent"]


def test_an_answer_says_how_to_go_on():
    result = result_of(event("agent.partial_answer", "Hel", step=1, index=0), final("Hello", output={"a": 1}))
    told = result.returned()
    assert result.is_over and texts(told)[0] == "Hello"
    assert "ask_tools" in texts(told)[1] and SESSION in texts(told)[1]
    facts = checked(told)
    assert (facts["status"], facts["answer"], facts["output"], facts["usage"]) == (
        "completed",
        "Hello",
        {"a": 1},
        USAGE,
    )
    assert told["isError"] is False


def test_a_run_that_goes_on_names_the_tool_that_waits():
    told = result_of(event("agent.thinking", "Analysing", step=1)).returned()
    assert checked(told)["status"] == "running" and not told["isError"]
    assert all(word in texts(told)[1] for word in ("wait_for_answer", SESSION, RUN))


@pytest.mark.parametrize(
    ("frame", "status", "code"),
    [
        (event("agent.error", "The model failed.", code="llm_error"), "failed", "llm_error"),
        (event("agent.interrupted", "Cancelled.", reason="user"), "cancelled", "interrupted"),
    ],
)
def test_what_is_no_answer_is_an_error(frame, status, code):
    told = result_of(frame).returned()
    assert told["isError"] and (checked(told)["status"], checked(told)["code"]) == (status, code)
    assert frame["content"] in texts(told)[0]


def test_a_question_is_a_form_and_for_a_person():
    result = result_of(called(), asked(path="a file"))
    assert not result.may_ask_more and result.interrupted() and result.status == "input_required"
    request = result.asking()["inputRequests"]["q-1"]
    assert request["params"]["requestedSchema"]["required"] == ["approved"] and "a file" in request["params"]["message"]
    assert result.asking()["requestState"] == RUN
    told = result.returned()
    assert f"/api/sessions/{SESSION}/confirmations/" in texts(told)[1] and not told["isError"]
    assert checked(told)["confirmations"][0]["step_id"] == "q-1"


def test_a_question_is_over_with_its_answer_its_call_or_the_run():
    for end in (event("user.response", {}, "q-1"), returned(), final("Done")):
        assert result_of(called(), asked(), end).questions == {}
    assert result_of(called("c-1"), called("c-2"), asked()).may_ask_more
    assert result_of(called(), asked(), waits_out=True).interrupted() == []


def test_progress_is_what_happens_and_no_text():
    result = RunResult(SESSION, RUN, tool="ask_tools")
    told = [
        *result.take(event("agent.thinking", "Analysing", step=1)),
        *result.take(event("agent.thinking", "secret thoughts", step=1, reasoning=True)),
        *result.take(event("agent.partial_answer", "Hel", step=1, index=0)),
        *result.take(called()),
        *result.take(event("agent.tool_progress", "half", "c-1", tool="write", percent=50.0)),
        *result.take(returned()),
    ]
    assert [one["progress"] for one in told] == [
        "Analysing",
        "Calling tool: write",
        "write: half (50 %)",
        "write: success",
    ]


def test_a_refusal_has_its_code():
    told = refused("over_quota", "Too much.", {"limit": 3})
    assert told["isError"] and checked(told) == {"code": "over_quota", "message": "Too much.", "limit": 3}


@pytest.mark.parametrize("told", [{}, {"code": "over_quota"}, {"session_id": SESSION, "run_id": RUN}])
def test_what_is_neither_a_result_nor_a_refusal_fits_no_schema(told):
    with pytest.raises(jsonschema.ValidationError):
        checked({"structuredContent": told})
