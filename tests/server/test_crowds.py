"""Clients that want very much: each is bounded and told why, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed

from myagent.client import ConnectionLost, RequestRefused
from tests.conftest import connected
from tests.support.conversation import text_of, turn, whole_log
from tests.support.model_replies import text
from tests.support.patience import WAIT_SECONDS

pytestmark = pytest.mark.slow

MAX_CONNECTIONS = 8
MAX_ATTACHED = 1_000
SERVER = {"settings": {"MAX_CONNECTIONS": MAX_CONNECTIONS}}
MIB = 2**20


async def others_notice_nothing(client, turns=3):
    """A conversation of somebody else, while somebody wants much."""
    session_id = await client.create_session()
    for _ in range(turns):
        frames = await turn(client, session_id, "tokens:50")
        assert text_of(frames) == frames[-1].content


def memory_mib(server):
    """Of the server's process."""
    status = Path(f"/proc/{server._running.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def test_a_thousand_sessions_on_one_connection(server, client):
    async with connected(server) as greedy:
        wanted = [
            {"event": "user.create_session", "content": {"title": str(number)}, "metadata": {"request_id": str(number)}}
            for number in range(MAX_ATTACHED)
        ]
        busy = asyncio.create_task(others_notice_nothing(client))
        for event in wanted:
            await greedy.send(event)
        sessions = [(await greedy.wait_for("agent.session_created")).session_id for _ in wanted]
        await busy
        assert len(set(sessions)) == MAX_ATTACHED
        # One more is refused, in whatever way it is asked for, and leaves no trace.
        other_id = await client.create_session()
        for event in (
            {"event": "user.create_session"},
            {"event": "user.reconnect", "session_id": other_id},
            {"event": "user.message", "session_id": other_id, "content": "hi"},
        ):
            with pytest.raises(RequestRefused) as refused:
                await greedy.request(event)
            frame = refused.value.frame
            assert (frame.event, frame.code, frame.run_id) == ("agent.error", "too_many_sessions", None)
            assert frame.metadata["limit"] == MAX_ATTACHED
        assert [frame.event for frame in await whole_log(server, other_id)] == ["agent.session_created"]
        # Those it has go on, and one that goes makes room.
        assert (await turn(greedy, sessions[-1], "hi"))[-1].content == "You said: hi"
        await greedy.request({"event": "user.delete_session", "session_id": sessions[0]})
        assert await greedy.create_session() not in sessions


async def test_large_frames(server, client, model):
    """More than the server would hold: it reads on when it has handled what it has."""
    before = memory_mib(server)
    padding, frames = "x" * MIB, 100
    async with connected(server) as heavy:
        session_id = await heavy.create_session()
        model.script(text("ok"))
        busy = asyncio.create_task(others_notice_nothing(client))
        async with asyncio.timeout(WAIT_SECONDS):
            for number in range(frames):
                event = {"event": "user.list_sessions", "content": {"limit": 1}, "padding": padding}
                await heavy.send({**event, "metadata": {"request_id": str(number)}})
            for number in range(frames):
                assert (await heavy.wait_for("system.sessions")).metadata["request_id"] == str(number)
        await busy
        assert memory_mib(server) - before < 64
        model.reset()
        model.script(text("that was long"))
        assert (await turn(heavy, session_id, padding))[-1].content == "that was long"
    assert len((await whole_log(server, session_id))[1].content) == MIB


@pytest.mark.parametrize("frame", ["no JSON", '{"event": "user.nonsense"}', '{"event": "user.cancel"}'])
async def test_a_flood_that_nobody_reads_the_answers_of(server, client, frame):
    before = memory_mib(server)
    async with open_websocket(server.url, max_queue=1) as flood:
        await flood.recv()
        sending = asyncio.create_task(send_for_ever(flood, frame))
        await others_notice_nothing(client, turns=5)
        assert memory_mib(server) - before < 64
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        flood.transport.abort()
    assert "Traceback" not in server.log


async def send_for_ever(socket, frame):
    while True:
        await socket.send(frame)


async def test_no_more_connections_than_the_server_takes(server):
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(server)) for _ in range(MAX_CONNECTIONS)]
        session_id = await clients[0].create_session()
        with pytest.raises(ConnectionLost) as lost:
            async with connected(server):
                pass
        assert (lost.value.close_code, lost.value.reason) == (4429, "too many connections")
        server.wait_log("MAX_CONNECTIONS")
        assert (await turn(clients[0], session_id, "hi"))[-1].content == "You said: hi"
        await clients[-1].close()
        await connect_patiently(server, stack)


async def connect_patiently(server, stack):
    """The server learns of a connection's end a moment after its client."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                return await stack.enter_async_context(connected(server))
            except ConnectionLost as lost:
                assert lost.close_code == 4429


async def test_many_who_come_at_the_same_moment(server):
    """All of them find room before the first one is in; still no more get in than may."""

    async def come(stack):
        socket = await stack.enter_async_context(open_websocket(server.url))
        try:
            return json.loads(await socket.recv())["event"]
        except ConnectionClosed:
            return socket.close_code

    async with AsyncExitStack() as stack:
        met = await asyncio.gather(*(come(stack) for _ in range(3 * MAX_CONNECTIONS)))
    assert sorted(met, key=str) == [4429] * (2 * MAX_CONNECTIONS) + ["system.connected"] * MAX_CONNECTIONS
