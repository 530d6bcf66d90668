"""The log of a session as server-sent events: cut anywhere, resumed exactly, and ended as a WebSocket is closed."""

from __future__ import annotations

import asyncio
import json
import random
import socket

import httpx2
import pytest

from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.conversation import PARTIAL, check_log, ended, only, text_of, turn
from tests.support.http_door import HttpDoor
from tests.support.model_replies import text
from tests.support.patience import WAIT_SECONDS
from tests.support.raw_socket import read_to_the_end
from tests.support.two_servers import SQLITE, two_servers

CUTS, TOKENS = 200, 3_000
SERVER = {
    "files": ("tools.py",),
    "settings": {
        "DELTA_INTERVAL_MS": 1,
        "GRANTS_SECONDS": 0.1,
        "HEARTBEAT_SECONDS": 0.2,
        "MAX_CONNECTIONS": 4,
        "STALL_SECONDS": 1,
    },
}
pytestmark = pytest.mark.database


@pytest.fixture
async def door(server):
    async with HttpDoor(server) as client:
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("is_over", [False, True])
async def test_an_answer_that_is_cut_all_the_time_is_whole(door, model, is_over):
    """While it comes, and from the log. Cut at any byte: what came of the next event by then does not count."""
    draw, told, cuts, in_vain = random.Random(7), [], 0, 0
    model.script(text(TOKENS, delay=0.005))
    session_id = await door.create()
    accepted = await door.say(session_id, "tell me much")
    if is_over:
        async with door.events(session_id) as stream:
            await stream.until(ended(accepted["run_id"]))
    while not told or not told[-1].frame.ends_run:
        async with door.events(session_id, last=told[-1].id if told else "") as stream:
            came = await stream.some(draw.randint(1, 700) << in_vain)
        came = [one for one in came if one.id]  # what is not logged is sent again, or is of no use any more
        in_vain = 0 if came else in_vain + 1  # an event may be longer than what is read at once
        told += came
        cuts += bool(told) and told[-1].frame.event == PARTIAL
    frames = [one.frame for one in told]
    assert cuts >= CUTS, f"{cuts} cuts, {len(frames)} events"
    check_log(frames)
    assert text_of(frames) == frames[-1].content == "".join(f"t{number} " for number in range(TOKENS))
    assert frames == await door.log(session_id)


async def test_a_server_that_is_killed_in_the_middle(tmp_path, model):
    held = text("one two three four", hang=2)
    model.script(held)
    with AgentServer(tmp_path, "recovering.py", model=model) as server:
        async with HttpDoor(server) as door:
            session_id = await door.create()
            accepted = await door.say(session_id, "hello", key="m-1")
            with pytest.raises(httpx2.TransportError):
                async with door.events(session_id) as stream:
                    told = await stream.until(PARTIAL)
                    server.kill()
                    told += await stream.until("nothing of the kind")
        model.reset()
        server.start()
        async with HttpDoor(server) as door:
            assert (await door.say(session_id, "hello", key="m-1"))["duplicate"] is True
            async with door.events(session_id, last=last_of(told)) as stream:
                told += await stream.until(ended(accepted["run_id"]))
            frames = [one.frame for one in told if one.id]
            check_log(frames)
            assert only(frames, "agent.step_reset")
            assert text_of(frames) == frames[-1].content and frames == await door.log(session_id)


def last_of(told):
    return [one.id for one in told if one.id][-1]


async def test_a_question_is_answered_after_a_restart_that_breaks_the_stream(tmp_path, model):
    """An end of the answer would tell some clients that this is all; they are told that it is not."""
    model.reset()
    path = tmp_path / "written"
    with AgentServer(tmp_path / "server", "tools.py", model=model) as server:
        async with HttpDoor(server) as door:
            session_id = await door.create()
            accepted = await door.say(session_id, "call:write " + json.dumps({"path": str(path), "text": "hello"}))
            with pytest.raises(httpx2.RemoteProtocolError):
                async with door.events(session_id) as stream:
                    told = await stream.until("agent.user_confirm")
                    server.terminate()
                    await stream.until("nothing of the kind")
        assert await asyncio.to_thread(server.wait_exit) == 0
        assert "Traceback" not in server.log and "cancelling" not in server.log
        server.start()
        async with HttpDoor(server) as door, door.events(session_id, last=last_of(told)) as stream:
            answer = f"sessions/{session_id}/confirmations/{told[-1].frame.step_id}"
            await door.told("POST", answer, {"confirmed": True})
            told += await stream.until(ended(accepted["run_id"]))
            assert path.read_text() == "hello"
            assert [one.frame for one in told if one.id] == await door.log(session_id)


async def test_on_any_process(tmp_path, model):
    model.reset()
    with two_servers(SQLITE, tmp_path, model) as (first, second):
        async with HttpDoor(first) as here, HttpDoor(second) as there:
            session_id = await here.create()
            async with here.events(session_id) as stream, there.events(session_id) as far:
                accepted = await there.say(session_id, "tokens:50")
                near, distant = await stream.until(ended(accepted["run_id"])), await far.until(ended())
            assert [one for one in near if one.id] == [one for one in distant if one.id]
            middle = near[len(near) // 2].id
            async with there.events(session_id, last=middle) as stream:
                rest = [one.id for one in await stream.until(ended()) if one.id]
            ids = [one.id for one in near if one.id]
            assert rest == ids[ids.index(middle) + 1 :]


async def test_a_cursor_is_a_number_or_an_id_of_this_session_that_there_is(door):
    session_id, other = await door.create(), await door.create()
    await door.say(session_id, "hello")
    async with door.events(session_id) as stream:
        await stream.until(ended())
    log = await door.log(session_id)
    async with door.events(session_id, after=2) as stream:
        assert [one.frame for one in await stream.until(ended())] == log[2:]
    async with door.events(session_id, after=1, last=log[2].event_id) as stream:
        assert [one.frame for one in await stream.until(ended())] == log[3:], "a browser that reconnects says both"
    page = await door.ask("GET", f"sessions/{session_id}/events", headers={"Last-Event-ID": log[2].event_id})
    assert len(page.json()["events"]) == len(log) - 3
    live = {"Accept": "text/event-stream"}
    for headers in ({}, live):
        path = f"sessions/{session_id}/events"
        for wrong in ("nonsense", f"{other}-1", session_id, f"{session_id}--1", f"{session_id}-1.5"):
            answer = await door.ask("GET", path, headers={**headers, "Last-Event-ID": wrong})
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_field"), wrong
        for wrong in ("-1", "x", "1e3", "", "１", "9" * 30):
            answer = await door.ask("GET", path, params={"after": wrong}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_field"), wrong
        answer = await door.ask("GET", path, params={"after": 1000}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "cursor_ahead")
        assert answer.json()["details"] == {"last_seq": log[-1].seq}


async def test_silence_is_filled_with_comments(door):
    session_id = await door.create()
    async with door.events(session_id, after=0) as stream:
        assert stream.response.headers["X-Accel-Buffering"] == "no"
        assert stream.response.headers["Cache-Control"] == "no-store, no-transform"
        assert stream.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        await stream.until("system.notice")
        for _ in range(3):
            await stream.silence()
        await door.say(session_id, "hello")
        assert (await stream.until(ended()))[-1].frame.ends_run


@pytest.mark.parametrize(
    "loss", ["AccessToken.objects.get(user__username='ann').revoke(timezone.now())", "User.objects.update(is_active=0)"]
)
async def test_who_may_no_longer_use_the_server_is_sent_nothing_more(server, model, loss):
    with Backstage(server) as backstage:
        backstage.do("User.objects.exclude(username='local').delete()")
        tokens = backstage.tokens("ann", "bob")
        try:
            async with HttpDoor(server, tokens["ann"]) as ann:
                session_id = await ann.create()
                async with ann.events(session_id) as stream:
                    await stream.until("system.notice")
                    backstage.do(loss)
                    with pytest.raises(httpx2.TransportError):
                        await stream.until("nothing of the kind")
                answer = await ann.ask("GET", f"sessions/{session_id}/events", headers={"Accept": "text/event-stream"})
                assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        finally:
            backstage.do("User.objects.update(is_active=True)")


async def test_streams_count_among_connections(server, door):
    session_id = await door.create()
    async with connected(server), door.events(session_id) as first, door.events(session_id), door.events(session_id):
        await first.until("system.notice")
        answer = await door.ask("GET", f"sessions/{session_id}/events", headers={"Accept": "text/event-stream"})
        assert (answer.status_code, answer.json()["code"]) == (503, "busy") and answer.headers["Retry-After"]
        assert (await door.ask("GET", f"sessions/{session_id}/events")).status_code == 200, "a page is no connection"
        metrics = (await door.client.get("/metrics")).text
        assert 'myagent_connections{door="sse"} 3.0' in metrics
        assert 'myagent_connections{door="websocket"} 1.0' in metrics
    for _ in range(3):  # those that were left make room
        await turned_away_no_more(door, session_id)


async def turned_away_no_more(door, session_id):
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            async with door.client.stream(
                "GET", f"/api/sessions/{session_id}/events", headers={"Accept": "text/event-stream"}
            ) as response:
                if response.status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def test_who_does_not_read_is_cut_off_and_holds_up_nobody(server, client, door):
    session_id = await client.create_session()
    with socket.create_connection(("127.0.0.1", server.port)) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lines = (f"GET /api/sessions/{session_id}/events HTTP/1.1", "Host: localhost", "Accept: text/event-stream")
        lazy.sendall("\r\n".join((*lines, "", "")).encode())
        got = await asyncio.to_thread(lazy.recv, 1024)
        assert got.startswith(b"HTTP/1.1 200 OK")
        for _ in range(30):
            await turn(client, session_id, 'call:big {"size": 250000}')
        rest = await asyncio.to_thread(read_to_the_end, lazy)
    assert len(rest) < 8_000_000 and not rest.endswith(b"0\r\n\r\n"), len(rest)
    log = await door.log(session_id)
    check_log(log)
    assert len([frame for frame in log if frame.ends_run]) == 30
