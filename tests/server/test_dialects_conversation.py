"""Each dialect holds a conversation: tools, a stop in the middle, a restart; the strictest endpoint takes all of it."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.conftest import connected
from tests.support.conversation import ended, turn
from tests.support.model_replies import Raw, Status
from tests.support.strict_endpoint import strict
from tests.support.vendor_replies import calls, part, stream, whole

SUM = '{"a": 1, "b": 2}'
SIGNED = {"extra_content": {"google": {"thought_signature": "c2lnbmVk"}}}


def bare(name, arguments, index=0):
    """A call without an id and a type, as some servers write it."""
    call = {"function": {"name": name, "arguments": arguments}}
    return call if index is None else {"index": index, **call}


def two(first, second, **added):
    return calls(part(0, *first), part(1, *second), **added)


WAIT, RECALL, ADD = ("wait", "{}"), ("recall", "{}"), ("add", SUM)

# What the endpoint replies: two calls at once, the answer to them, a call of a tool that waits, the last answer.
DIALECTS = {
    "OpenAI": [
        stream(two(ADD, RECALL), finish="tool_calls"),
        stream({"content": "Three."}),
        stream(calls(part(0, *WAIT)), finish="tool_calls"),
        stream({"content": "Bye."}),
    ],
    "reasoning beside calls": [
        stream({"reasoning_content": "Let me see."}, two(ADD, RECALL), finish="tool_calls"),
        stream({"reasoning_content": "So."}, {"content": "Three."}),
        stream({"reasoning_content": "Wait."}, calls(part(0, *WAIT)), finish="tool_calls"),
        stream({"content": "Bye."}),
    ],
    "details of reasoning": [
        stream(
            {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}, two(ADD, RECALL)
        ),
        stream({"content": "Three."}),
        stream({"reasoning_details": [{"type": "reasoning.encrypted", "data": "eA=="}]}, calls(part(0, *WAIT))),
        stream({"content": "Bye."}),
    ],
    "signatures, and each call at index 0 in a chunk of its own": [
        stream(calls(part(0, *ADD, id="f1", **SIGNED)), calls(part(0, *RECALL, id="f2"))),
        stream({"content": "Three."}, finish="STOP"),
        stream(calls(part(0, *WAIT, id="f1", **SIGNED))),
        stream({"content": "Bye."}, finish="STOP"),
    ],
    "no ids": [
        stream(calls(bare("add", SUM), bare("recall", "{}"))),
        stream({"content": "Three."}),
        stream(calls(bare("wait", ""))),
        stream({"content": "Bye."}),
    ],
    "neither ids nor indexes, arguments as an object": [
        stream(calls(bare("add", {"a": 1, "b": 2}, None), bare("recall", {}, None))),
        stream({"content": "Three."}),
        stream(calls(bare("wait", {}, None))),
        stream({"content": "Bye."}),
    ],
    "thinking in the text": [
        stream({"content": "<th"}, {"content": "ink>Let me see.</think>"}, two(ADD, RECALL)),
        stream({"content": "<think>So.</think>Three."}),
        stream({"content": "Wait.</think>"}, calls(part(0, *WAIT))),
        stream({"content": "Bye."}),
    ],
    "whole replies in one piece": [
        whole({"role": "assistant", "content": None, **two(ADD, RECALL)}, "tool_calls"),
        whole({"role": "assistant", "content": "Three."}),
        whole({"role": "assistant", "content": "", **calls(part(0, *WAIT))}, "tool_calls"),
        whole({"role": "assistant", "content": "Bye."}),
    ],
    "one line break between events, no reason to finish": [
        Raw(reply.body.replace(b"\n\n", b"\n").replace(b'"stop"', b"null"))
        for reply in (
            stream(two(ADD, RECALL)),
            stream({"content": "Three."}),
            stream(calls(part(0, *WAIT))),
            stream({"content": "Bye."}),
        )
    ],
}


def wants_back_what_it_gave(body):
    """Strict, and as thinking models refuse calls without what came with them."""
    for message in body["messages"]:
        if message.get("tool_calls") and "reasoning_content" not in message:
            return Status(400, "reasoning_content is missing beside tool_calls")
    return strict(body)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_conversation(dialect, server, model):
    model.guard = wants_back_what_it_gave if dialect == "reasoning beside calls" else strict
    asks_two, answers, waits, last = DIALECTS[dialect]
    async with connected(server) as client:
        session_id = await client.create_session()
        model.script(asks_two, answers)
        frames = await turn(client, session_id, "What is the sum, and what do you remember?")
        results = [frame.metadata["tool"] for frame in frames if frame.event == "agent.tool_result"]
        assert (sorted(results), frames[-1].content) == (["add", "recall"], "Three.")
        model.script(waits)
        run = await client.say(session_id, "Wait for me.")
        await client.wait_for("agent.tool_progress")
        await client.cancel(session_id)
        assert (await client.wait_for(ended(run.run_id))).event == "agent.interrupted"
    await asyncio.to_thread(server.terminate)
    await asyncio.to_thread(server.wait_exit)
    await asyncio.to_thread(server.start)
    async with connected(server) as client:
        model.script(last)
        frames = await turn(client, session_id, "Thank you.")
        assert frames[-1].content == "Bye."
    assert [request.body["messages"] for request in model.refused] == []
    said = json.dumps(model.requests[-1].messages)
    assert all(words in said for words in ("What is the sum", "Three.", "Wait for me.", "Thank you."))
    assert "Let me see." not in "".join(str(message.get("content")) for message in model.requests[-1].messages)
