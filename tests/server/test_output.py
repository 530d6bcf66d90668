"""Answers that are values: through the real server, in both ways of asking for them, and when processes die."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from myagent.llm.output_tool import OUTPUT_TOOL
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, ended, kinds, only, refusal, taken_over, turn, whole_log
from tests.support.model_replies import Status, smart, text, tools
from tests.support.strict_endpoint import faults
from tests.support.two_servers import NEVER, SQLITE, two_servers

SERVER = {"files": ("structured.py", "structured_tools.py", "words_only.py")}
INVOICE = {"customer": "ACME", "total": 12.5}
WRONG = {"customer": "ACME", "total": "a lot"}


def value(given):
    """The value as the text of a reply, which comes in a few pieces."""
    return text(orjson.dumps(given).decode())


def call_output(given, **options):
    return tools((OUTPUT_TOOL, given), **options)


@pytest.fixture(autouse=True)
def sound_model(model):
    model.reset()
    yield
    model.reset()
    model.default = smart


def refuse_formats(body):
    return (
        Status(400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.")
        if ("response_format" in body)
        else None
    )


async def test_the_endpoint_is_asked_for_the_format(server, client, model):
    model.script(value(INVOICE), value({"customer": "Next", "total": 1}))
    session_id = await client.create_session("structured")
    frames = await turn(client, session_id, "bill ACME")
    assert frames[-1].metadata["output"] == frames[-1].output == INVOICE
    assert "ACME" in frames[-1].content and "{" not in frames[-1].content
    assert PARTIAL not in kinds(frames), "nobody reads JSON as it is written"
    asked = model.requests[0].body
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["customer", "total"]
    assert asked["response_format"]["json_schema"]["strict"] is True
    assert "tools" not in asked
    assert (await turn(client, session_id, "another"))[-1].output["customer"] == "Next"
    assert not faults(model.requests[1].body)
    assert orjson.loads(model.requests[1].messages[-2]["content"]) == INVOICE


async def test_an_endpoint_that_refuses_formats_is_given_a_tool(model, tmp_path):
    model.guard = refuse_formats
    model.script(call_output(INVOICE), call_output(INVOICE))
    with AgentServer(tmp_path, "structured.py", model=model) as server:  # one that has learnt nothing yet
        async with connected(server) as client:
            session_id = await client.create_session()
            assert (await turn(client, session_id, "bill ACME"))[-1].output == INVOICE
            assert len(model.refused) == 1
            assert (await turn(client, session_id, "and another"))[-1].output == INVOICE
            assert len(model.refused) == 1, "it was learnt"
        assert model.requests[-1].tool_names == [OUTPUT_TOOL]
        assert "agent.tool_call" not in kinds(await whole_log(server, session_id))


async def test_tools_come_first_and_a_value_beside_them_is_not_taken(server, client, model):
    model.script(
        tools(("price", {"item": "chair"}), (OUTPUT_TOOL, {"total": 99})),
        call_output({"total": 12.5}, tokens=["Here is ", "what it costs."]),
    )
    session_id = await client.create_session("structured-tools")
    frames = await turn(client, session_id, "what does a chair cost?")
    assert frames[-1].output == {"total": 12.5, "note": ""}
    assert frames[-1].content == "Here is what it costs."
    assert only(frames, "agent.tool_call").metadata["tool"] == "price"
    assert model.requests[0].tool_names == ["price", OUTPUT_TOOL]
    assert not faults(model.requests[1].body)
    assert [call["function"]["name"] for call in model.requests[1].messages[-2]["tool_calls"]] == ["price"]


async def test_what_does_not_fit_is_told_twice(server, client, model):
    model.script(value(WRONG), text("It is a lot."), call_output({"total": -1}))
    session_id = await client.create_session("structured")
    frames = await turn(client, session_id, "bill ACME")
    error = frames[-1]
    assert (error.event, error.code) == ("agent.error", "output_invalid")
    assert any(problem.startswith("customer:") for problem in error.metadata["problems"])
    assert any(problem.startswith("total:") for problem in error.metadata["problems"])
    assert "total" in error.content
    assert len(model.requests) == 3
    assert "total:" in model.requests[1].messages[-1]["content"]
    assert model.requests[1].tool_names == [OUTPUT_TOOL], "a format that was not kept is not asked for again"
    # What was shown of the text is void.
    assert only(frames, "agent.step_reset").metadata["reason"] == "output_invalid"
    for request in model.requests:
        assert not faults(request.body)
    # The conversation lives on, and what was told before does not count.
    model.script(call_output(WRONG), call_output(WRONG), call_output(INVOICE))
    assert (await turn(client, session_id, "again"))[-1].output == INVOICE
    assert not faults(model.requests[-1].body)


async def test_the_limit_of_steps_gives_the_value(server, client, model):
    model.script(*[tools(("price", {"item": "chair"}))] * 3, call_output({"total": 1}))
    session_id = await client.create_session("structured-tools")
    end = (await turn(client, session_id, "how much?"))[-1]
    assert end.output["total"] == 1 and end.metadata["finish"] == "max_steps"
    assert not faults(model.requests[-1].body)


async def test_at_the_limit_the_model_is_asked_once_whatever_it_gives(server, client, model):
    session_id = await client.create_session("structured-tools")
    for last in (tools(("price", {"item": "chair"})), call_output({"total": "a lot"}), text("It is dear.")):
        model.reset()
        model.script(*[tools(("price", {"item": "chair"}))] * 3, last, call_output({"total": 1}))
        error = (await turn(client, session_id, "how much?"))[-1]
        assert (error.event, error.code) == ("agent.error", "output_invalid")
        assert error.metadata["problems"] and len(model.requests) == 4
    model.reset()
    model.script(call_output({"total": 1}))
    assert (await turn(client, session_id, "again"))[-1].output["total"] == 1
    assert not faults(model.requests[-1].body)


async def test_a_message_says_what_its_answer_has_to_be(server, client, model):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    model.script(value({"city": "Paris"}), value(INVOICE))
    session_id = await client.create_session("structured")
    accepted = await client.say(session_id, "where?", output_schema=schema)
    frames = await client.until(ended(accepted.run_id))
    assert frames[-1].output == {"city": "Paris"}
    assert model.requests[0].body["response_format"]["json_schema"]["schema"]["required"] == ["city"]
    assert (await turn(client, session_id, "bill ACME"))[-1].output == INVOICE


BAD = {
    "no object": {"type": "array"},
    "no schema": {"properties": {"a": {"type": "nope"}}},
    "patterns": {"properties": {"a": {"type": "string", "pattern": "(a+)+$"}}},
    "itself": {
        "$defs": {"a": {"properties": {"b": {"$ref": "#/$defs/a"}}}},
        "properties": {"a": {"$ref": "#/$defs/a"}},
    },
    "far away": {"properties": {"a": {"$ref": "https://example.com/schema"}}},
    "multiplies": {
        "$defs": {
            f"d{n}": {"properties": {"l": {"$ref": f"#/$defs/d{n + 1}"}, "r": {"$ref": f"#/$defs/d{n + 1}"}}}
            for n in range(20)
        }
        | {"d20": {"type": "string"}},
        "properties": {"a": {"$ref": "#/$defs/d0"}},
    },
    "long": {"properties": {"a": {"description": "x" * 40_000}}},
}


@pytest.mark.parametrize("name", BAD)
async def test_a_schema_that_cannot_be_checked_is_refused(server, client, name):
    session_id = await client.create_session("structured")
    content = {"text": "hi", "output_schema": BAD[name]}
    refused = await refusal(client, {"event": "user.message", "session_id": session_id, "content": content})
    assert refused.code == "bad_field" and "output_schema" in refused.content


async def test_an_agent_that_takes_no_schemas_refuses_them(server, client):
    session_id = await client.create_session("structured-tools")
    content = {"text": "hi", "output_schema": {"type": "object"}}
    refused = await refusal(client, {"event": "user.message", "session_id": session_id, "content": content})
    assert refused.code == "unsupported_type"


@pytest.mark.parametrize("killed_at", [1, 2, 3])
async def test_tries_are_counted_over_the_death_of_a_process(model, tmp_path, killed_at):
    """Two replies that do not fit, and a third: the model is told of each once, whichever request a process dies in."""
    replies = [call_output(WRONG), text("a lot"), call_output(WRONG)]
    hanging = text("It will be {", hang=1)
    model.script(*replies[: killed_at - 1], hanging, *replies[killed_at - 1 :])
    settings = {"LEASE_SECONDS": NEVER}
    with two_servers(SQLITE, tmp_path, model, files=("structured_tools.py",), settings=settings) as (first, second):
        session_id, end = await taken_over(first, second, model, "how much?", killed_at=killed_at)
        assert end.code == "output_invalid" and any("total" in problem for problem in end.metadata["problems"])
        assert len(model.requests) == 4
        told = [message for message in model.requests[-1].messages if message["role"] == "tool"]
        assert len(told) == 2
        for request in model.requests:
            assert not faults(request.body)
        log = await whole_log(second, session_id)
        assert [frame.event for frame in log if frame.ends_run] == ["agent.error"]


async def test_what_a_message_asked_for_outlives_a_process(model, tmp_path):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    model.script(text("{", hang=1), value({"city": 1}), call_output({"city": "Paris"}))
    settings = {"LEASE_SECONDS": NEVER}
    with two_servers(SQLITE, tmp_path, model, files=("structured.py",), settings=settings) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "where?", output_schema=schema)
            await asyncio.to_thread(model.request, 1)
            await asyncio.to_thread(first.kill)
            assert (await there.wait_for(ended(run.run_id))).output == {"city": "Paris"}
        assert len(model.requests) == 3
