"""Connections of OpenAI's clients that break, servers that die, answers that are held up, and what pages may ask."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx2
import openai
import pytest

from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage, tokens_of
from tests.support.conversation import check_log, ended
from tests.support.http_door import HttpDoor
from tests.support.model_replies import Reply, text
from tests.support.openai_door import chunks_of, content_of, facts_of, openai_client, user
from tests.support.patience import WAIT_SECONDS
from tests.support.raw_socket import read_to_the_end
from tests.support.two_servers import SQLITE, two_servers

SERVER = {
    "files": ("recovering.py",),
    "settings": {
        "GRANTS_SECONDS": 0.1,
        "HEARTBEAT_SECONDS": 0.2,
        "STALL_SECONDS": 1,
        "MAX_CONNECTIONS": 2,
        "MAX_FRAME_BYTES": 100_000,
    },
    "options": ("--language", "en"),
}
OPTIONS = ("--language", "en")
pytestmark = pytest.mark.database


async def until_text(stream):
    """The chunks up to the first text."""
    chunks = []
    async for chunk in stream:
        chunks.append(chunk)
        if chunk.choices[0].delta.content:
            return chunks
    raise AssertionError("it ended")


async def test_a_server_that_is_killed_in_the_middle(tmp_path, model):
    model.reset()
    model.script(text("one two three four", hang=2))
    asked = {
        "model": "recovering",
        "messages": [user("hello")],
        "extra_headers": {"Idempotency-Key": "m-1"},
        "stream": True,
    }
    with AgentServer(tmp_path, "recovering.py", model=model, options=OPTIONS) as server:
        token = tokens_of(server)["ann"]
        async with openai_client(server, token) as client:
            stream = await client.chat.completions.create(**asked)
            assert content_of(await until_text(stream)).startswith("one")
            server.kill()
            with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
                await chunks_of(stream)
        model.reset()
        server.start()
        async with openai_client(server, token) as client, HttpDoor(server, token) as door:
            chunks = await chunks_of(await client.chat.completions.create(**asked))
            facts = facts_of(chunks)
            assert "*The text above is void" in content_of(chunks)
            assert content_of(chunks).endswith("\n\nYou said: hello") and facts["answer"] == "You said: hello"
            whole = await client.chat.completions.create(**{**asked, "stream": False})
            assert (whole.choices[0].message.content, whole.myagent["run_id"]) == (facts["answer"], facts["run_id"])
            assert chunks[0].id == whole.id
            check_log(await door.log(facts["session_id"]))


@pytest.mark.slow
async def test_a_client_that_tries_again_by_itself_gets_the_answer_once(tmp_path, model):
    model.reset()
    model.script(text("never said", hang=0))
    with AgentServer(tmp_path, "recovering.py", model=model, options=OPTIONS) as server:
        token = tokens_of(server)["ann"]
        async with HttpDoor(server, token) as door:
            session_id = await door.create()
        async with openai_client(server, token, max_retries=20) as client:
            header = {"X-MyAgent-Session": session_id}
            asking = asyncio.create_task(
                client.chat.completions.create(
                    model="recovering", messages=[user("hello")], extra_headers=header, timeout=WAIT_SECONDS
                )
            )
            assert await asyncio.to_thread(model.request, 1)
            server.terminate()
            assert await asyncio.to_thread(server.wait_exit) == 0
            assert "Traceback" not in server.log
            model.reset()
            server.start()
            assert (await asking).choices[0].message.content == "You said: hello"
        async with HttpDoor(server, token) as door:
            log = await door.log(session_id)
    check_log(log)
    assert len([frame for frame in log if frame.event == "user.message"]) == 1


async def test_on_any_process(tmp_path, model):
    model.reset()
    held = text("one two three", hang=2)
    model.script(held)
    with two_servers(SQLITE, tmp_path, model) as (first, second):
        token = tokens_of(first)["ann"]
        async with openai_client(first, token) as here, openai_client(second, token) as there:
            name = [one.id async for one in await here.models.list()][0]
            asked = {"model": name, "messages": [user("hello")], "extra_headers": {"Idempotency-Key": "m-1"}}
            stream = await here.chat.completions.create(**asked, stream=True)
            chunks = await until_text(stream)
            far = asyncio.create_task(there.chat.completions.create(**asked))
            held.gate.open()
            assert content_of(chunks + await chunks_of(stream)) == "one two three"
            assert (await far).choices[0].message.content == "one two three"
    assert len(model.requests) == 1


async def test_comments_keep_a_silent_stream_alive(server, token, model):
    held = text("late", hang=0)
    model.script(held)
    body = {"model": "recovering", "messages": [user("hello")], "stream": True}
    async with (
        HttpDoor(server, token) as door,
        door.client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-myagent-session"] and response.headers["x-request-id"]
        silences, lines = 0, []
        async with asyncio.timeout(WAIT_SECONDS):
            async for line in response.aiter_lines():
                silences += line.startswith(":")
                lines.append(line)
                if silences == 3:
                    held.gate.open()
    assert json.loads(lines[0].removeprefix("data: "))["choices"][0]["delta"]["role"] == "assistant"
    assert [line for line in lines if line][-1] == "data: [DONE]"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_token_that_is_revoked_meanwhile(server, model, stream):
    model.script(text("one two", hang=1))
    with Backstage(server) as backstage:
        name = f"gone{stream:d}"
        token = backstage.do(
            "result = AccessToken.objects.issue(User.objects.create_user(name), 'openai')[1]", name=name
        )
        async with openai_client(server, token) as client:
            asking = asyncio.create_task(
                client.chat.completions.create(model="recovering", messages=[user("hello")], stream=stream)
            )
            assert await asyncio.to_thread(model.request, 1)
            following = await asking if stream else None
            backstage.do("AccessToken.objects.filter(user__username=name).delete(); result = None", name=name)
            # The run is cancelled and the connection broken; the client is told of the one that comes first.
            try:
                facts = facts_of(await chunks_of(following)) if stream else (await asking).myagent
                assert (facts["finish"], facts["reason"]) == ("interrupted", "access_revoked")
            except (openai.APIError, httpx2.TransportError) as error:
                assert getattr(error, "status_code", 503) in (401, 503)


async def test_room_and_sizes(server, token, model):
    held = [text("one", hang=0), text("two", hang=0)]
    model.script(*held)
    async with openai_client(server, token) as client:
        asked = {"model": "recovering", "messages": [user("x")]}
        streams = [asyncio.create_task(client.chat.completions.create(**asked)) for _ in range(2)]
        assert await asyncio.to_thread(model.request, 2)
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(**asked)
        assert (refused.value.status_code, refused.value.code) == (503, "busy")
        assert "x-should-retry" not in refused.value.response.headers
        async with HttpDoor(server) as door:
            assert 'myagent_connections{door="openai"} 2.0' in (await door.client.get("/metrics")).text
        for one in held:
            one.gate.open()
        assert sorted([one.choices[0].message.content for one in await asyncio.gather(*streams)]) == ["one", "two"]
        with pytest.raises(openai.APIStatusError) as refused:
            await client.chat.completions.create(model="recovering", messages=[user("x" * 200_000)])
        assert (refused.value.status_code, refused.value.code) == (413, "too_large")


async def test_who_does_not_read_is_cut_off_and_the_run_goes_on(server, token, model):
    model.script(Reply(tokens=["x" * 100_000] * 100))
    async with HttpDoor(server, token) as door:
        session_id = await door.create()
        body = json.dumps({"model": "recovering", "messages": [user("hello")], "stream": True}).encode()
        lines = (
            *("POST /v1/chat/completions HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}"),
            *("Content-Type: application/json", f"Content-Length: {len(body)}", f"X-MyAgent-Session: {session_id}"),
        )
        with socket.create_connection(("127.0.0.1", server.port)) as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.sendall("\r\n".join((*lines, "", "")).encode() + body)
            assert (await asyncio.to_thread(lazy.recv, 64)).startswith(b"HTTP/1.1 200 OK")
            async with door.events(session_id) as stream:
                whole = (await stream.until(ended()))[-1].frame
            rest = await asyncio.to_thread(read_to_the_end, lazy)
        assert len(whole.content) == 10_000_000
        assert len(rest) < 9_000_000 and b"[DONE]" not in rest


async def test_pages_of_other_origins(server, token):
    async with HttpDoor(server, token, Origin="https://example.com") as door:
        asked = {"Access-Control-Request-Method": "POST"}
        allowed = await door.client.request("OPTIONS", "/v1/chat/completions", headers=asked)
        assert allowed.status_code == 204
        for name in ("authorization", "x-myagent-session", "x-stainless-retry-count"):
            assert name in allowed.headers["access-control-allow-headers"]
        answer = await door.client.post("/v1/chat/completions/", json={"model": "recovering", "messages": [user("x")]})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://example.com")
        assert "X-MyAgent-Session" in answer.headers["access-control-expose-headers"]
        assert answer.headers["content-length"] == str(len(answer.content))
        nothing = await door.client.post("/v1/embeddings", json={})
        assert (nothing.status_code, nothing.json()["error"]["code"]) == (404, "not_found")
        wrong = await door.client.get("/v1/chat/completions")
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
        torn = await door.client.post(
            "/v1/chat/completions", content=b"{", headers={"Content-Type": "application/json"}
        )
        assert (torn.status_code, torn.json()["error"]["type"]) == (400, "invalid_request_error")
