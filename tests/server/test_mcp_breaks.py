"""Connections of MCP that break, servers that die, calls that are cancelled, and several processes."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage, tokens_of
from tests.support.conversation import check_log
from tests.support.http_door import HttpDoor
from tests.support.mcp_client import (
    LEGACY,
    MODERN,
    STATEFUL,
    YES,
    answering,
    called,
    facts_of,
    mcp_client,
    task_client,
    text_of,
)
from tests.support.model_replies import text
from tests.support.patience import WAIT_SECONDS
from tests.support.two_servers import SQLITE, two_servers

SERVER = {
    "files": ("recovering.py",),
    "settings": {"GRANTS_SECONDS": 0.1, "HEARTBEAT_SECONDS": 0.2, "MAX_CONNECTIONS": 2},
    "options": ("--language", "en"),
}
OPTIONS = ("--language", "en")
ERAS = pytest.mark.parametrize("mode", [MODERN, LEGACY])
pytestmark = pytest.mark.database
RUNS = "result = [[str(run.id), run.status] for run in Run.objects.order_by('queued_at')]"


@pytest.fixture
def token(tokens):
    return tokens["ann"]


def runs_of(server):
    with Backstage(server) as backstage:
        return backstage.do(RUNS)


@ERAS
async def test_a_server_that_is_killed_in_the_middle(tmp_path, model, mode):
    model.reset()
    model.script(text("one two three four", hang=2))
    with AgentServer(tmp_path, "recovering.py", model=model, options=OPTIONS) as server:
        token = tokens_of(server)["ann"]
        with pytest.raises((MCPError, BaseExceptionGroup, httpx2.HTTPError)):
            async with mcp_client(server, token, mode) as client:
                call = asyncio.create_task(client.call_tool("ask_recovering", {"message": "hello"}))
                assert await asyncio.to_thread(model.request, 1)
                server.kill()
                await call
        model.reset()
        server.start()
        async with mcp_client(server, token, mode) as client, HttpDoor(server, token) as door:
            again = await client.call_tool("ask_recovering", {"message": "hello"})
            assert text_of(again) == "You said: hello"
            log = await door.log(facts_of(again)["session_id"])
        check_log(log)
        assert len(runs_of(server)) <= 2, "joined, or it had ended before"


@ERAS
async def test_a_server_that_stops_breaks_the_connection(tmp_path, model, mode):
    model.reset()
    model.script(text("never said", hang=0))
    settings = {"DRAIN_SECONDS": 0}
    with AgentServer(tmp_path, "recovering.py", model=model, options=OPTIONS, settings=settings) as server:
        token = tokens_of(server)["ann"]
        told = []
        with suppress(MCPError, BaseExceptionGroup, httpx2.HTTPError):
            async with mcp_client(server, token, mode) as client:
                call = asyncio.create_task(client.call_tool("ask_recovering", {"message": "hello"}))
                assert await asyncio.to_thread(model.request, 1)
                server.terminate()
                told.append(await call)
        assert told == [], "what is no answer is told as none"
        assert await asyncio.to_thread(server.wait_exit) == 0
        assert "Traceback" not in server.log, server.log
        model.reset()
        server.start()
        async with task_client(server, token) as client:
            ((run_id, _status),) = runs_of(server)
            done = await client.until(run_id, "completed")
            assert done["result"]["content"][0]["text"] == "You said: hello"


async def test_connections_that_are_cut_again_and_again(server, token, model):
    held = text("the one answer", hang=1)
    model.script(held)
    body, headers = called("ask_recovering", message="cut me")
    before = len(runs_of(server))
    async with HttpDoor(server, token) as door:
        cuts = 0
        while cuts < 200:
            async with door.client.stream("POST", "/mcp/", json=body, headers=headers) as response:
                if response.status_code == 503:
                    continue  # those that were cut before have not all been noticed
                assert response.status_code == 200
                cuts += 1
                if cuts % 4:
                    async with asyncio.timeout(WAIT_SECONDS):
                        assert await anext(response.aiter_raw())
        assert len(model.requests) == 1
        async with door.client.stream("POST", "/mcp/", json=body, headers=headers) as response:
            held.gate.open()  # the answer has begun with the progress so far
            lines = [line async for line in response.aiter_lines()]
        messages = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        facts = messages[-1]["result"]["structuredContent"]
        assert facts["answer"] == "the one answer"
        assert {message["method"] for message in messages[:-1]} <= {"notifications/progress"}
        log = await door.log(facts["session_id"])
    check_log(log)
    assert len(runs_of(server)) == before + 1


async def raw_session(door):
    """The headers of a session of MCP in the era of handshakes; without an id where several processes may answer."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    headers = {"Accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    begun = await door.client.post("/mcp/", json=body, headers=headers)
    assert begun.status_code == 200, begun.text
    headers["MCP-Protocol-Version"] = "2025-11-25"
    if "mcp-session-id" in begun.headers:
        headers["Mcp-Session-Id"] = begun.headers["mcp-session-id"]
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await door.client.post("/mcp/", json=done, headers=headers)).status_code == 202
    return headers


@ERAS
async def test_to_close_cancels_nothing(server, token, model, mode):
    held = text("said to nobody", hang=0)
    model.script(held)
    async with HttpDoor(server, token) as door:
        body, headers = called("ask_recovering", message=f"leave {mode}")
        if mode == LEGACY:
            headers = await raw_session(door)
        async with door.client.stream("POST", "/mcp/", json=body, headers=headers) as response:
            assert response.status_code == 200
            assert await asyncio.to_thread(model.request, 1)
    run_id, status = runs_of(server)[-1]
    assert status == "running"
    async with task_client(server, token) as client:
        assert (await client.get(run_id))["status"] == "working"
        held.gate.open()
        done = await client.until(run_id, "completed")
        assert done["result"]["content"][0]["text"] == "said to nobody"


@STATEFUL
async def test_the_notification_cancels(server, token, model):
    held = text("never said", hang=0)
    model.script(held)
    async with mcp_client(server, token, LEGACY) as client, task_client(server, token) as tasks:
        call = asyncio.create_task(client.call_tool("ask_recovering", {"message": "give it up"}))
        assert await asyncio.to_thread(model.request, 1)
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        await tasks.until(runs_of(server)[-1][0], "cancelled")


@STATEFUL
async def test_the_session_of_another_looks_unknown(server, token):
    with Backstage(server) as backstage:
        other = backstage.do("result = AccessToken.objects.issue(User.objects.create_user('eve'), 'mcp')[1]")
        second = backstage.do("result = AccessToken.objects.issue(User.objects.get(username='ann'), 'mcp2')[1]")
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    async with HttpDoor(server, token) as door:
        headers = await raw_session(door)
        assert (await door.client.post("/mcp/", json=listing, headers=headers)).status_code == 200
        unknown = {**headers, "Mcp-Session-Id": "0" * 32}
        nothing = await door.client.post("/mcp/", json=listing, headers=unknown)
        for stranger in (other, second):
            async with HttpDoor(server, stranger) as eve:
                foreign = await eve.client.post("/mcp/", json=listing, headers=headers)
                assert (foreign.status_code, foreign.content) == (nothing.status_code, nothing.content)
                assert (await eve.client.delete("/mcp/", headers=headers)).status_code == 404
        assert (await door.client.delete("/mcp/", headers=headers)).status_code == 200
        assert (await door.client.post("/mcp/", json=listing, headers=headers)).status_code == 404


@STATEFUL
async def test_nobody_takes_up_the_sessions_of_others(server, token):
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    async with HttpDoor(server, token) as door:
        opened = [await raw_session(door) for _ in range(101)]
        answers = [(await door.client.post("/mcp/", json=listing, headers=headers)).status_code for headers in opened]
    assert answers == [404] + [200] * 100, "the least recently used one has ended"


async def test_connections_are_counted_and_have_a_limit(server, token, model):
    held = [text("one", hang=0), text("two", hang=0)]
    model.script(*held)
    async with mcp_client(server, token) as client:
        calls = [asyncio.create_task(client.call_tool("ask_recovering", {"message": word})) for word in ("x", "y")]
        assert await asyncio.to_thread(model.request, 2)
        with pytest.raises(MCPError) as refused:
            await client.call_tool("ask_recovering", {"message": "z"})
        assert refused.value.error.data["code"] == "busy"
        async with HttpDoor(server) as door:
            assert 'myagent_connections{door="mcp"} 2.0' in (await door.client.get("/metrics")).text
        for one in held:
            one.gate.open()
        assert sorted(text_of(result) for result in await asyncio.gather(*calls)) == ["one", "two"]


@STATEFUL
async def test_a_connection_counts_while_its_client_is_asked(server, token, tmp_path):
    shown, decided = asyncio.Queue(), asyncio.Event()

    async def thinking(context, params):
        shown.put_nowait(params)
        await decided.wait()
        return ElicitResult(**YES)

    async with mcp_client(server, token, LEGACY, elicitation_callback=thinking) as client:
        asked = [{"message": f'call:write {{"path": "{tmp_path / name}", "text": "x"}}'} for name in ("one", "two")]
        calls = [asyncio.create_task(client.call_tool("ask_recovering", each)) for each in asked]
        for _ in calls:
            await asyncio.wait_for(shown.get(), WAIT_SECONDS)
        with pytest.raises(MCPError) as refused:
            await client.call_tool("ask_recovering", {"message": "z"})
        assert refused.value.error.data["code"] == "busy"
        decided.set()
        assert [text_of(await call) for call in calls] == ["Result: wrote x"] * 2, "who answers is never turned away"
        async with HttpDoor(server) as door:
            assert 'myagent_connections{door="mcp"} 0.0' in (await door.client.get("/metrics")).text


async def test_a_token_that_is_revoked_meanwhile(server, model):
    model.script(text("one two", hang=1))
    with Backstage(server) as backstage:
        token = backstage.do("result = AccessToken.objects.issue(User.objects.create_user('gone'), 'mcp')[1]")
        async with mcp_client(server, token) as client:
            call = asyncio.create_task(client.call_tool("ask_recovering", {"message": "hello"}))
            assert await asyncio.to_thread(model.request, 1)
            backstage.do("AccessToken.objects.filter(user__username='gone').delete(); result = None")
            # The run is cancelled and its watching ended; the client is told of the one that comes first.
            result = await call
            assert result.is_error and facts_of(result)["code"] in ("interrupted", "try_again")
            with pytest.raises(MCPError) as refused:
                await client.call_tool("ask_recovering", {"message": "hello"})
            assert refused.value.error.data["code"] == "invalid_token"


async def test_a_task_on_another_process(tmp_path, model):
    model.reset()
    path = tmp_path / "written"
    with two_servers(SQLITE, tmp_path, model) as (first, second):
        token = tokens_of(first)["ann"]
        asked, callback = answering({"action": "accept", "content": {"approved": True}})
        async with task_client(first, token) as here, task_client(second, token) as there:
            say = f'call:write {{"path": "{path}", "text": "one"}}'
            task_id = (await here.begin("ask_tools", message=say))["taskId"]
            assert (await there.begin("ask_tools", message=say))["taskId"] == task_id
            (key,) = (await there.until(task_id, "input_required"))["inputRequests"]
            await there.update(task_id, **{key: {"action": "accept", "content": {"approved": True}}})
            assert (await here.until(task_id, "completed"))["result"]["content"][0]["text"] == "Result: wrote one"
        async with mcp_client(first, token, elicitation_callback=callback) as here, mcp_client(second, token) as there:
            say = f'call:write {{"path": "{path}", "text": "two"}}'
            asking = await here.session.call_tool("ask_tools", {"message": say}, allow_input_required=True)
            (key,) = asking.input_requests
            given = {"input_responses": {key: await callback(None, None)}, "request_state": asking.request_state}
            assert text_of(await there.call_tool("ask_tools", {"message": say}, **given)) == "Result: wrote two"
    assert path.read_text() == "onetwo"


@pytest.mark.slow
@ERAS
async def test_workers_of_one_server(tmp_path, model, mode):
    model.reset()
    options = (*OPTIONS, "--workers", "2")
    settings = {"MCP_WAIT_SECONDS": 2}
    path = tmp_path / "written"
    folder = tmp_path / "server"
    with AgentServer(folder, "tools.py", model=model, options=options, settings=settings) as server:
        token = tokens_of(server)["ann"]
        asked, callback = answering({"action": "accept", "content": {"approved": True}})
        for _ in range(4):
            async with mcp_client(server, token, mode, elicitation_callback=callback) as client:
                assert (
                    text_of(await client.call_tool("ask_tools", {"message": 'call:add {"a": 1, "b": 2}'}))
                    == "Result: 3"
                )
        async with mcp_client(server, token, mode, elicitation_callback=callback) as client:
            say = f'call:write {{"path": "{path}", "text": "one"}}'
            answer = await client.call_tool("ask_tools", {"message": say})
            if mode == MODERN:
                assert text_of(answer) == "Result: wrote one"
            else:
                assert facts_of(answer)["status"] == "input_required" and not asked
