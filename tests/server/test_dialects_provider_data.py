"""What an endpoint adds to a message comes back on it: in the run, after it, after a restart and a takeover."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.conversation import ended, happens, turn, whole_log
from tests.support.model_replies import Status, text
from tests.support.strict_endpoint import strict
from tests.support.two_servers import POSTGRES, SQLITE, two_servers
from tests.support.vendor_replies import calls, part, stream, whole

SECRET = "c2lnbmF0dXJlLW9mLXRob3VnaHQ="
SIGNED = {"extra_content": {"google": {"thought_signature": SECRET}}}
ADD = '{"a": 1, "b": 2}'


def of_calls(body):
    return [message for message in body["messages"] if message.get("tool_calls")]


def wants_reasoning(body):
    """As DeepSeek and Kimi refuse it."""
    lacking = [message for message in of_calls(body) if not message.get("reasoning_content")]
    return strict(body) or (Status(400, "reasoning_content is missing beside tool_calls") if lacking else None)


def wants_signature(body):
    """As Gemini 3 refuses it."""
    firsts = [message["tool_calls"][0] for message in of_calls(body)]
    lacking = [call for call in firsts if "thought_signature" not in json.dumps(call)]
    return strict(body) or (Status(400, "the first function call lacks its thought_signature") if lacking else None)


@pytest.fixture(autouse=True)
def all_taken(model):
    yield
    assert [request.body["messages"] for request in model.refused] == []


async def test_reasoning_beside_the_calls_of_two_steps(server, client, model):
    model.guard = wants_reasoning
    session_id = await client.create_session()
    for number in (1, 2):
        model.script(
            stream({"reasoning_content": "First "}, {"reasoning_content": "this."}, calls(part(0, "add", ADD))),
            stream(calls(part(0, "recall"), reasoning_content="Now that.")),
            stream({"reasoning_content": "Done."}, {"content": f"answer {number}"}),
        )
        assert (await turn(client, session_id, "go"))[-1].content == f"answer {number}"
    sent = of_calls(model.requests[-1].body)
    assert [message["reasoning_content"] for message in sent] == ["First this.", "Now that."] * 2
    answers = [m for m in model.requests[-1].messages if m["role"] == "assistant" and not m.get("tool_calls")]
    assert all("reasoning_content" not in message for message in answers), "beside an answer it would only cost"


@pytest.mark.parametrize("form", [stream, whole])
async def test_a_signature_on_the_first_of_two_calls(client, model, form):
    model.guard = wants_signature
    session_id = await client.create_session()
    model.script(form(calls(part(0, "add", ADD, **SIGNED), part(1, "recall")), finish="tool_calls"))
    assert (await turn(client, session_id, "go"))[-1].content == "Result: 3 | nothing"
    assert (await turn(client, session_id, "more"))[-1].content == "You said: more"
    first, second = of_calls(model.requests[-1].body)[0]["tool_calls"]
    assert first["extra_content"] == SIGNED["extra_content"]
    assert "extra_content" not in second


async def test_details_come_back_as_they_came(client, model):
    session_id = await client.create_session()
    details = [
        {"type": "reasoning.text", "text": "Look it up.", "index": 0},
        {"type": "reasoning.encrypted", "data": "b3BhcXVl", "id": "rs_1", "index": 1},
    ]
    pieces = [
        {"reasoning_details": [{"type": "reasoning.text", "text": "Look ", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "it up.", "index": 0}]},
        {"reasoning_details": [details[1]]},
    ]
    model.script(stream(*pieces, calls(part(0, "recall"))))
    await turn(client, session_id, "go")
    await turn(client, session_id, "more")
    for request in model.requests[1:]:
        assert of_calls(request.body)[0]["reasoning_details"] == details


async def test_unknown_fields_anywhere(client, model):
    session_id = await client.create_session()
    added = {"vendor_state": {"a": [1, {"b": None}]}, "mood": "calm"}
    deep = part(0, "recall", vendor_seal={"x": "y" * 1000})
    deep["function"]["seal"] = "in here"
    model.script(stream(calls(deep, **added)))
    await turn(client, session_id, "go")
    (sent,) = of_calls(model.requests[-1].body)
    assert {name: sent[name] for name in added} == added
    assert sent["tool_calls"][0]["vendor_seal"] == {"x": "y" * 1000}
    assert sent["tool_calls"][0]["function"] == {"seal": "in here", "name": "recall", "arguments": "{}"}


async def test_it_is_kept_over_a_restart(model, tmp_path):
    model.reset()
    model.guard = wants_reasoning
    with AgentServer(tmp_path, "tools.py", model=model) as server:
        async with connected(server) as client:
            session_id = await client.create_session()
            model.script(stream(calls(part(0, "recall", **SIGNED), reasoning_content="So it is.")))
            await turn(client, session_id, "go")
        await asyncio.to_thread(server.terminate)
        await asyncio.to_thread(server.wait_exit)
        await asyncio.to_thread(server.start)
        async with connected(server) as client:
            assert (await turn(client, session_id, "back"))[-1].content == "You said: back"
    (sent,) = of_calls(model.requests[-1].body)
    assert sent["reasoning_content"] == "So it is."
    assert sent["tool_calls"][0]["extra_content"] == SIGNED["extra_content"]


@pytest.mark.parametrize("kind", [SQLITE, POSTGRES])
async def test_it_is_kept_over_a_takeover(kind, model, tmp_path):
    model.reset()
    model.guard = wants_signature
    held = text("never", hang=0)
    model.script(stream(calls(part(0, "recall", **SIGNED))), held, text("taken over"))
    with two_servers(kind, tmp_path, model, settings={"LEASE_SECONDS": 6}) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "go")
            await happens(held.gate.entered)
            await asyncio.to_thread(first.kill)
            assert (await there.wait_for(ended(run.run_id))).content == "taken over"
    (sent,) = of_calls(model.requests[-1].body)
    assert sent["tool_calls"][0]["extra_content"] == SIGNED["extra_content"]


async def test_nobody_is_shown_it(server, client, model, tmp_path):
    session_id = await client.create_session()
    model.script(stream(calls(part(0, "recall", **SIGNED), vendor_note=SECRET)), text("seen"))
    await turn(client, session_id, "go")
    assert SECRET in json.dumps(model.requests[-1].body)
    assert SECRET not in repr(await whole_log(server, session_id))
    exported = await client.request({"event": "user.request_state", "session_id": session_id})
    state = exported.metadata["signed_state"]["state"]
    assert "recall" in state and SECRET not in state and "provider_data" not in state
    with Backstage(server) as backstage:
        stored = backstage.do("result = [m.provider_data for m in Message.objects.filter(role='assistant')]")
        assert SECRET in json.dumps(stored)
    assert SECRET not in server.log


async def test_it_is_left_out_where_it_is_refused(model, tmp_path):
    def refuses(body):
        is_there = any("vendor_note" in message for message in body["messages"])
        return strict(body) or (Status(400, "Unknown parameter: messages[2].vendor_note") if is_there else None)

    model.reset()
    model.guard = refuses
    with AgentServer(tmp_path, "tools.py", model=model) as server:
        async with connected(server) as client:
            session_id = await client.create_session()
            model.script(stream(calls(part(0, "recall"), vendor_note="x")))
            assert (await turn(client, session_id, "go"))[-1].content == "Result: nothing"
            assert (await turn(client, session_id, "more"))[-1].content == "You said: more"
    assert len(model.refused) == 1, "it is found out once"
    model.refused.clear()


async def test_more_than_can_be_kept_is_left_out_and_the_log_says_so(server, client, model):
    session_id = await client.create_session()
    model.script(stream(calls(part(0, "recall"), vendor_state="x" * 300_000)))
    assert (await turn(client, session_id, "go"))[-1].content == "Result: nothing"
    assert "vendor_state" not in of_calls(model.requests[-1].body)[0]
    assert "added more to its reply than is kept" in await asyncio.to_thread(server.wait_log, "more to its reply")


async def test_another_model_is_not_sent_it_and_takes_the_history_all_the_same(model, tmp_path):
    """The endpoint of today wants what the endpoint of yesterday had never given."""
    model.reset()
    with AgentServer(tmp_path, "tools.py", model=model, environment={"LLM_MODEL": "yesterday"}) as server:
        async with connected(server) as client:
            session_id = await client.create_session()
            model.script(stream(calls(part(0, "recall", **SIGNED))))
            await turn(client, session_id, "go")
        await asyncio.to_thread(server.terminate)
        await asyncio.to_thread(server.wait_exit)
        server.environment["LLM_MODEL"] = "today"
        model.guard = wants_reasoning
        await asyncio.to_thread(server.start)
        async with connected(server) as client:
            assert (await turn(client, session_id, "back"))[-1].content == "You said: back"
            model.script(stream(calls(part(0, "recall"), reasoning_content="Once more.")))
            assert (await turn(client, session_id, "go"))[-1].content == "Result: nothing"
            assert (await turn(client, session_id, "end"))[-1].content == "You said: end"
    assert SECRET not in json.dumps(model.requests[-1].body)
    assert "[I called recall with {}]" in json.dumps(model.requests[-1].body)
    assert [m["reasoning_content"] for m in of_calls(model.requests[-1].body)] == ["Once more."]
    assert len(model.refused) == 1
    model.refused.clear()
