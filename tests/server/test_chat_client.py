"""The door for the Vercel AI SDK with its own chat, under node: whole conversations, over cuts, kills and stops."""

from __future__ import annotations

import asyncio
import json
import random
import uuid

import pytest

from tests.support.agent_server import AgentServer
from tests.support.agui_client import chat_client
from tests.support.backstage import Backstage
from tests.support.conversation import check_log, text_of, whole_log
from tests.support.http_door import HttpDoor
from tests.support.model_replies import Reply, text

pytestmark = [pytest.mark.slow, pytest.mark.database]

SERVER = {"files": ("tools.py",), "settings": {"DELTA_INTERVAL_MS": 1}, "options": ("--language", "en")}
CUTS, TOKENS = 200, 1_500
READY = {"status": "ready", "error": None}


def new_chat():
    return str(uuid.uuid4())


async def session_of(server):
    async with HttpDoor(server) as door:
        return (await door.told("GET", "sessions", params={"limit": 1}))["sessions"][0]["session_id"]


async def told(server, chat, agent="tools"):
    """The conversation as the server tells it."""
    async with HttpDoor(server) as door:
        return (await door.told("GET", f"chat/{agent}/{chat}"))["messages"]


def plain(messages):
    """Without what only the client adds, and what it does not keep."""
    kept = [(one["id"], one["role"], [_kept(part) for part in one["parts"]]) for one in messages]
    return json.loads(json.dumps(kept))


def _kept(part):
    return {key: part[key] for key in part if key in KEPT and part[key] is not None}


KEPT = ("type", "text", "state", "toolName", "toolCallId", "input", "output", "errorText", "data", "id", "url")


def call_in(messages):
    return next(part for part in reversed(messages[-1]["parts"]) if part["type"] == "dynamic-tool")


@pytest.mark.parametrize("path", ["/api/chat/tools", "/api/chat/tools/"])
async def test_a_conversation_with_tools_and_a_confirmation(server, tmp_path, path):
    file, chat = tmp_path / "written", new_chat()
    write = "call:write " + json.dumps({"path": str(file), "text": "hello"})
    async with chat_client(server, path, chat) as client:
        assert await client.call("say", 'call:add {"a": 1, "b": 2}', "m-1") == READY
        assert call_in(await client.messages())["output"] == "3"
        assert await client.call("say", write, "m-2") == READY
        asked = call_in(await client.messages())
        assert asked["state"] == "approval-requested" and not file.exists()
        await client.call("approve", asked["approval"]["id"], True)
        assert await client.call("answered") == READY
        messages = await client.messages()
        assert file.read_text() == "hello" and call_in(messages)["output"] == "wrote hello"
        assert await client.call("resume") == READY, "nothing goes on"
    assert plain(messages) == plain(await told(server, chat)), "the server tells what the client holds"
    log = await whole_log(server, await session_of(server))
    answers = [frame.content for frame in log if frame.event == "agent.final_answer"]
    assert [message["parts"][-1]["text"] for message in messages[1::2]] == answers


async def test_a_no_and_two_questions_at_once(server, model, tmp_path):
    chat, paths = new_chat(), [tmp_path / name for name in ("one", "two")]
    model.script(Reply(calls=[("write", {"path": str(path), "text": "x"}) for path in paths]))
    async with chat_client(server, "/api/chat/tools", chat) as client:
        assert await client.call("say", "write both", "m-1") == READY
        first, second = [part for part in (await client.messages())[-1]["parts"] if part["type"] == "dynamic-tool"]
        await client.call("approve", first["approval"]["id"], first["input"]["path"] == str(paths[0]))
        await client.call("approve", second["approval"]["id"], second["input"]["path"] == str(paths[0]))
        assert await client.call("answered") == READY
        messages = await client.messages()
    states = [part["state"] for part in messages[-1]["parts"] if part["type"] == "dynamic-tool"]
    assert sorted(states) == ["output-available", "output-denied"]
    assert paths[0].exists() and not paths[1].exists()
    assert plain(messages) == plain(await told(server, chat))


async def test_an_answer_that_is_cut_all_the_time_is_whole(server, model):
    draw, cuts, chat = random.Random(7), 0, new_chat()
    held = text(TOKENS, delay=0.005, hang=TOKENS - 1)
    model.script(held)
    async with chat_client(server, "/api/chat/tools", chat) as client:
        await client.call("cutAfter", 2_000)
        assert (await client.call("say", "tell me much", "m-1"))["status"] == "error"
        while cuts < CUTS:
            await client.call("cutAfter", draw.randint(300, 9_000))
            assert (await client.call("resume"))["status"] == "error"
            cuts += 1
        await client.call("cutAfter", None)
        resuming = asyncio.create_task(client.call("resume"))
        # Behind the end of the run there would be nothing to resume.
        await client.until(lambda shown: shown["text"].endswith(f"t{TOKENS - 2} "))
        held.gate.open()
        assert await resuming == READY
        messages = await client.messages()
    log = await whole_log(server, await session_of(server))
    check_log(log)
    whole = "".join(f"t{number} " for number in range(TOKENS))
    assert text_of(log) == whole and messages[-1]["parts"][-1]["text"] == whole
    assert plain(messages) == plain(await told(server, chat))


async def test_a_server_that_is_killed_in_the_middle_and_while_it_asks(tmp_path, model):
    model.reset()
    path, chat = tmp_path / "written", new_chat()
    model.script(text("one two three four", hang=2))
    with AgentServer(tmp_path / "server", "recovering.py", model=model) as server:
        async with chat_client(server, "/api/chat/recovering", chat) as client:
            saying = asyncio.create_task(client.call("say", "hello", "m-1"))
            await client.until(lambda shown: bool(shown["text"]))
            server.kill()
            assert (await saying)["status"] == "error"
            model.reset()
            await asyncio.to_thread(server.start)
            await client.call("resume")
            call = "call:write " + json.dumps({"path": str(path), "text": "hello"})
            assert await client.call("say", call, "m-2") == READY
            server.kill()
            await asyncio.to_thread(server.start)
        async with chat_client(server, "/api/chat/recovering", chat) as client:
            await client.call("take", await told(server, chat, "recovering"))
            assert await client.call("resume") == READY
            await client.call("approve", call_in(await client.messages())["approval"]["id"], True)
            assert await client.call("answered") == READY
            messages = await client.messages()
        assert path.read_text() == "hello"
        assert plain(messages) == plain(await told(server, chat, "recovering"))


async def test_the_stop_of_the_sdk_leaves_and_ours_stops(server, model):
    chat, held = new_chat(), text("what it says in the end", hang=1)
    model.script(held, text("never said", hang=1))
    async with chat_client(server, "/api/chat/tools", chat) as client, HttpDoor(server) as door:
        saying = asyncio.create_task(client.call("say", "hello", "m-1"))
        await client.until(lambda shown: bool(shown["text"]))
        await client.call("stop")
        await saying
        session_id = await session_of(server)
        assert (await door.told("GET", f"sessions/{session_id}"))["run_status"] == "running"
        held.gate.open()
        await client.call("resume")
        saying = asyncio.create_task(client.call("say", "again", "m-2"))
        await client.until(lambda shown: shown["text"] == "never ")
        assert len((await door.told("POST", f"chat/tools/{chat}/stop"))["run_ids"]) == 1
        assert (await saying)["status"] == "ready"
        assert (await door.log(session_id))[-1].event == "agent.interrupted"


async def test_two_users_with_the_same_chat_have_two_conversations(server, model):
    with Backstage(server) as backstage:
        tokens = backstage.tokens("ann", "bob")
    async with HttpDoor(server, tokens["ann"]) as ann, HttpDoor(server, tokens["bob"]) as bob:
        async with chat_client(server, "/api/chat/tools", "ours", tokens["ann"]) as client:
            assert await client.call("say", "a secret of ann", "m-1") == READY
        answer = await bob.ask("GET", "chat/tools/ours")
        assert answer.status_code == 404
        (session,) = (await ann.told("GET", "sessions"))["sessions"]
        foreign = await bob.ask("GET", f"chat/tools/{session['session_id']}")
        assert (foreign.status_code, foreign.json()) == (404, answer.json())
        for name in ("ours", session["session_id"]):
            assert (await bob.ask("POST", f"chat/tools/{name}/stop")).status_code == 404
            followed = await bob.ask("GET", f"chat/tools/{name}/stream")
            assert (followed.status_code, followed.content) == (204, b""), "as in a chat that has not begun"
        async with chat_client(server, "/api/chat/tools", "ours", tokens["bob"]) as client:
            assert await client.call("say", "hello", "m-1") == READY
        assert "secret" not in json.dumps(await bob.told("GET", "chat/tools/ours"))
