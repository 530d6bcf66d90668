"""The official client of MCP at the real server, in both eras: tools, conversations, questions, other users."""

from __future__ import annotations

import asyncio
import json

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from tests.support.backstage import Backstage
from tests.support.conversation import check_log
from tests.support.http_door import HttpDoor
from tests.support.mcp_client import (
    HAS_SESSIONS,
    LEGACY,
    MODERN,
    NO,
    STATEFUL,
    YES,
    answering,
    called,
    facts_of,
    mcp_client,
    text_of,
)
from tests.support.model_replies import text
from tests.support.patience import WAIT_SECONDS

SERVER = {
    "files": ("tools.py", "second.py", "structured.py"),
    "settings": {"GRANTS_SECONDS": 0.1, "HEARTBEAT_SECONDS": 0.2, "MCP_WAIT_SECONDS": 3},
    "options": ("--language", "en"),
}
LIMITED = """
bob = User.objects.get(username="bob")
result = AccessToken.objects.issue(bob, "one", agents=["second"])[1]
"""
ERAS = pytest.mark.parametrize("mode", [MODERN, LEGACY])
pytestmark = pytest.mark.database


@pytest.fixture(scope="module")
def tokens(running_server):
    with Backstage(running_server) as backstage:
        yield {**backstage.tokens("ann", "bob"), "limited": backstage.do(LIMITED)}


@pytest.fixture
async def door(server, tokens):
    async with HttpDoor(server, tokens["ann"]) as client:
        yield client


@ERAS
async def test_agents_are_tools(server, tokens, mode):
    async with mcp_client(server, tokens["ann"], mode) as client:
        listed = (await client.list_tools()).tools
    assert [tool.name for tool in listed] == ["ask_tools", "ask_second", "ask_structured", "wait_for_answer"]
    assert listed[0].description == "Does what tests need" and listed[0].annotations.destructive_hint
    assert not listed[1].annotations.destructive_hint and listed[3].annotations.read_only_hint
    async with mcp_client(server, tokens["limited"], mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["ask_second", "wait_for_answer"]
        with pytest.raises(MCPError) as refused:
            await client.call_tool("ask_tools", {"message": "hello"})
        assert refused.value.error.data["code"] == "agent_not_found"


@ERAS
async def test_a_conversation_with_tools(server, tokens, door, model, mode):
    progress = []

    async def told(done, total, words):
        progress.append((done, words))

    async with mcp_client(server, tokens["ann"], mode) as client:
        first = await client.call_tool("ask_tools", {"message": "call:steps"}, progress_callback=told)
        assert text_of(first) == "Result: all done"
        assert [done for done, words in progress] == sorted({done for done, words in progress})
        assert "steps: 90 of 100 (90 %)" in [words for done, words in progress]
        facts = facts_of(first)
        assert (facts["status"], facts["answer"]) == ("completed", "Result: all done")
        assert facts["session_id"] in first.content[1].text and "ask_tools" in first.content[1].text
        again = {"message": 'call:add {"a": 1, "b": 2}', "session_id": facts["session_id"]}
        second = await client.call_tool("ask_tools", again)
        assert (text_of(second), facts_of(second)["session_id"]) == ("Result: 3", facts["session_id"])
        other = await client.call_tool("ask_second", {"message": "hello"})
        assert facts_of(other)["session_id"] != facts["session_id"]
        model.script(text('{"customer": "Ada", "total": 2}'))
        value = await client.call_tool("ask_structured", {"message": "bill Ada"})
        assert facts_of(value)["output"] == {"customer": "Ada", "total": 2}
    log = await door.log(facts["session_id"])
    check_log(log)
    assert [frame.content for frame in log if frame.event == "user.message"] == ["call:steps", again["message"]]


@ERAS
async def test_what_is_wrong_is_told_to_the_model(server, tokens, mode):
    async with mcp_client(server, tokens["ann"], mode) as client, mcp_client(server, tokens["bob"], mode) as bob:
        mine = facts_of(await client.call_tool("ask_second", {"message": "hello"}))
        for asking, arguments, code in (
            (client, {}, "missing_field"),
            (client, {"message": 3}, "bad_field"),
            (client, {"message": "  "}, "empty_message"),
            (client, {"message": "x", "session_id": "nothing"}, "session_not_found"),
            (client, {"message": "x", "session_id": "00000000-0000-4000-8000-000000000000"}, "session_not_found"),
            (bob, {"message": "x", "session_id": mine["session_id"]}, "session_not_found"),
        ):
            result = await asking.call_tool("ask_second", arguments)
            assert result.is_error and facts_of(result)["code"] == code, (arguments, result)
            assert code in text_of(result)
        result = await client.call_tool("ask_tools", {"message": "x", "session_id": mine["session_id"]})
        assert facts_of(result)["code"] == "bad_field"
        wait = {"session_id": mine["session_id"], "run_id": mine["run_id"]}
        assert text_of(await client.call_tool("wait_for_answer", wait)) == "You said: hello"
        assert facts_of(await bob.call_tool("wait_for_answer", wait))["code"] == "session_not_found"
        lost = {**wait, "run_id": "00000000-0000-4000-8000-000000000000"}
        assert facts_of(await client.call_tool("wait_for_answer", lost))["code"] == "run_not_found"


@ERAS
async def test_a_failed_run_is_an_error_with_its_code(server, tokens, model, mode):
    model.script(*[text("", finish=None, cut=0)] * 10)
    async with mcp_client(server, tokens["ann"], mode) as client:
        failed = await client.call_tool("ask_second", {"message": "hello"})
    assert failed.is_error and facts_of(failed)["status"] == "failed" and facts_of(failed)["code"]


@ERAS
async def test_a_question_that_the_client_shows(server, tokens, door, tmp_path, mode):
    if mode == LEGACY and not HAS_SESSIONS:
        pytest.skip("several processes may answer, so nothing is asked during a call")
    path = tmp_path / "written"
    asked, callback = answering(YES, NO, {"action": "accept", "content": {"approved": False, "reason": "no ink"}})
    async with mcp_client(server, tokens["ann"], mode, elicitation_callback=callback) as client:
        message = f'call:write {{"path": "{path}", "text": "one"}}'
        answer = await client.call_tool("ask_tools", {"message": message})
        assert (text_of(answer), path.read_text()) == ("Result: wrote one", "one")
        assert str(path) in asked[0].message and "approved" in asked[0].requested_schema["properties"]
        declined = await client.call_tool("ask_tools", {"message": message})
        again = await client.call_tool("ask_tools", {"message": message})
    assert len(asked) == 3 and path.read_text() == "one"
    assert not declined.is_error and not again.is_error
    log = await door.log(facts_of(again)["session_id"])
    assert [frame.content for frame in log if frame.event == "user.response"] == [
        {"confirmed": False, "reason": "no ink"}
    ]


async def test_an_agent_that_is_switched_off_while_it_asks_hears_the_answer(server, tokens, tmp_path):
    path = tmp_path / "written"

    async def switch(word):
        await asyncio.to_thread(server.manage, "agents", word, "tools")
        async with mcp_client(server, tokens["ann"]) as other, asyncio.timeout(WAIT_SECONDS):
            while ("ask_tools" in [tool.name for tool in (await other.list_tools()).tools]) != (word == "enable"):
                pass

    async def callback(context, params):
        await switch("disable")
        return ElicitResult(**YES)

    try:
        async with mcp_client(server, tokens["ann"], elicitation_callback=callback) as client:
            message = f'call:write {{"path": "{path}", "text": "one"}}'
            answer = await client.call_tool("ask_tools", {"message": message})
            assert (text_of(answer), path.read_text()) == ("Result: wrote one", "one")
            with pytest.raises(MCPError) as refused:
                await client.call_tool("ask_tools", {"message": "once more"})
            assert refused.value.error.data["code"] == "agent_not_found"
    finally:
        await switch("enable")


@STATEFUL
async def test_what_is_no_answer_leaves_the_question_open(server, tokens, door, tmp_path):
    path = tmp_path / "written"
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}

    def sent(method=None, **more):
        told = {} if method is None else {"method": method}
        return {"url": "/mcp/", "json": {"jsonrpc": "2.0", **told, **more}, "headers": headers}

    about = {"capabilities": {"elicitation": {}}, "clientInfo": {"name": "odd", "version": "1"}}
    begun = await door.client.post(**sent("initialize", id=0, params={"protocolVersion": "2025-11-25", **about}))
    headers["Mcp-Session-Id"] = begun.headers["mcp-session-id"]
    await door.client.post(**sent("notifications/initialized"))
    said = {"name": "ask_tools", "arguments": {"message": f'call:write {{"path": "{path}", "text": "one"}}'}}
    told = []
    async with door.client.stream("POST", **sent("tools/call", id=1, params=said)) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: {"):
                told.append(json.loads(line[6:]))
                if told[-1].get("method") == "elicitation/create":
                    await door.client.post(**sent(id=told[-1]["id"], result={"action": 5}))
    facts = told[-1]["result"]["structuredContent"]
    assert (facts["status"], path.exists()) == ("input_required", False)
    assert (await door.client.post(f"/api/sessions/{facts['session_id']}/cancel")).status_code == 200


@STATEFUL
async def test_a_question_that_is_answered_elsewhere_first(server, tokens, door, tmp_path):
    path, shown = tmp_path / "written", asyncio.Event()

    async def thinking(context, params):
        shown.set()
        await asyncio.Event().wait()

    async with mcp_client(server, tokens["ann"], LEGACY, elicitation_callback=thinking) as client:
        message = f'call:write {{"path": "{path}", "text": "one"}}'
        call = asyncio.create_task(client.call_tool("ask_tools", {"message": message}))
        await shown.wait()
        session = (await door.told("GET", "sessions"))["sessions"][0]
        (question,) = [frame for frame in await door.log(session["session_id"]) if frame.event == "agent.user_confirm"]
        answer = f"sessions/{session['session_id']}/confirmations/{question.step_id}"
        await door.told("POST", answer, {"confirmed": True})
        assert text_of(await call) == "Result: wrote one"


@ERAS
async def test_a_question_that_the_client_cannot_show(server, tokens, door, tmp_path, mode):
    path = tmp_path / "written"
    async with mcp_client(server, tokens["ann"], mode) as client:
        message = f'call:write {{"path": "{path}", "text": "one"}}'
        asking = await client.call_tool("ask_tools", {"message": message})
        facts = facts_of(asking)
        assert (facts["status"], asking.is_error) == ("input_required", False)
        (question,) = facts["confirmations"]
        assert f"/api/sessions/{facts['session_id']}/confirmations/" in asking.content[1].text
        assert not path.exists()
        wait = {"session_id": facts["session_id"], "run_id": facts["run_id"]}
        waiting = asyncio.create_task(client.call_tool("wait_for_answer", wait))
        await door.told(
            "POST", f"sessions/{facts['session_id']}/confirmations/{question['step_id']}", {"confirmed": True}
        )
        assert text_of(await waiting) == "Result: wrote one"


@ERAS
async def test_still_running_after_a_while_and_going_on(server, tokens, model, mode):
    held = text("slow answer", hang=0)
    model.script(held)
    async with mcp_client(server, tokens["ann"], mode) as client:
        running = await client.call_tool("ask_second", {"message": "hello"})
        facts = facts_of(running)
        assert (facts["status"], running.is_error) == ("running", False)
        assert facts["run_id"] in running.content[1].text and "wait_for_answer" in running.content[1].text
        again = facts_of(await client.call_tool("ask_second", {"message": "hello"}))
        assert again["run_id"] == facts["run_id"], "the same call joins the run"
        wait = {"session_id": facts["session_id"], "run_id": facts["run_id"]}
        waiting = asyncio.create_task(client.call_tool("wait_for_answer", wait))
        held.gate.open()
        assert text_of(await waiting) == "slow answer"
        after = facts_of(await client.call_tool("ask_second", {"message": "hello"}))
        assert after["run_id"] != facts["run_id"], "it has ended, so this is a new one"


async def test_the_trace_of_a_client_goes_on(server, door):
    """Not with the official client: where this process is traced, that says another one."""
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    runs = []
    for shown in (traceparent, "nonsense"):
        body, headers = called("ask_second", message="hello")
        del body["params"]["_meta"]["progressToken"]  # so that the answer is JSON
        body["params"]["_meta"]["traceparent"] = shown
        told = (await door.client.post("/mcp/", json=body, headers=headers)).json()
        runs.append(told["result"]["structuredContent"]["run_id"])
    with Backstage(server) as backstage:
        look = "result = [Run.objects.get(pk=one).traceparent for one in runs]"
        assert backstage.do(look, runs=runs) == [traceparent, ""]
