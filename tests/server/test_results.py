"""What tools return, and what they take, in the habits of other frameworks: through the real server."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from tests.support.agent_files.odd_results import DOT
from tests.support.conversation import only, turn, whole_log
from tests.support.model_replies import Status, text, tools
from tests.support.patience import WAIT_SECONDS

pytestmark = pytest.mark.database
SERVER = {"files": ("odd_results.py",)}
PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(DOT).decode()}"}}
WIRE = {"media_type": "image/png", "data": base64.b64encode(DOT).decode()}


async def result_of(client, call):
    frames = await turn(client, await client.create_session(), f"call:{call}")
    assert frames[-1].event == "agent.final_answer", frames[-1]
    return only(frames, "agent.tool_result")


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ("forecast", "failed", "missing: 'city'"),
        ('forecast {"city": "Oslo", "days": 9}', "failed", "less than or equal to 5"),
        ('forecast {"city": "Oslo"}', "success", "Oslo 2"),
        ("tag", "success", "tags ['new']"),
        ("tag", "success", "tags ['new']"),
        ('fetch {"path": "/", "headers": {}}', "failed", "no argument 'headers'"),
        ('fetch {"path": "/"}', "success", "/ with 1 header"),
        ("deliveries", "success", '"lamps"'),
        ("report", "failed", "rows[1].part is a coroutine (_load)"),
        ("broken_rows", "failed", "(KeyError)"),
    ],
)
async def test_each_is_useful_or_says_what_is_wrong(server, client, call, status, words):
    result = await result_of(client, call)
    assert (result.metadata["status"], words in result.content) == (status, True), result.content
    assert "password" not in json.dumps([result.content, dict(result.metadata)])


async def test_an_iterator_without_an_end_hurts_nobody(server, client):
    session_id = await client.create_session()
    counting = asyncio.create_task(turn(client, session_id, "call:count"))
    async with asyncio.timeout(WAIT_SECONDS):
        frames = await counting
    assert "there were more" in only(frames, "agent.tool_result").content


async def test_what_is_bound_is_not_shown_to_the_model(server, client, model):
    await result_of(client, "tag")
    shown = json.dumps(model.request(1).body)
    assert "token-7" not in shown
    assert '"description": "the city"' in shown


async def test_pictures_reach_client_model_and_log(server, client, model):
    session_id = await client.create_session()
    frames = await turn(client, session_id, 'call:plot {"formula": "x"}')
    result = only(frames, "agent.tool_result")
    assert (result.content, result.metadata["images"]) == ("plotted x\n[image image/png 1x1, 1 KB]", [WIRE])
    call, told, seen, shown = model.request(2).messages[-4:]
    assert call["tool_calls"] and told == {
        "role": "tool",
        "content": result.content,
        "tool_call_id": told["tool_call_id"],
    }
    assert seen["role"] == "assistant"
    assert shown["role"] == "user" and shown["content"][1:] == [PICTURE]
    log = await whole_log(server, session_id)
    assert only(log, "agent.tool_result").metadata["images"] == [WIRE]
    await turn(client, session_id, "and now?")
    assert shown in model.request(3).messages


async def test_a_model_that_takes_no_pictures_is_asked_without(server, client, model):
    refusal = Status(400, "unknown variant `image_url`, expected `text`")
    model.script(tools(("gallery", {})), refusal, text("two dots"), text("bye"))
    session_id = await client.create_session()
    frames = await turn(client, session_id, "show me")
    assert frames[-1].content == "two dots"
    assert len(only(frames, "agent.tool_result").metadata["images"]) == 2
    assert "image_url" in json.dumps(model.request(2).body)
    assert "image_url" not in json.dumps(model.request(3).body)
    await turn(client, session_id, "and now?")
    assert "image_url" not in json.dumps(model.request(4).body), "it is remembered"
