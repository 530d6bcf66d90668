"""Clients that do not read, and what keeps a silent connection alive."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed

from tests.conftest import connected
from tests.support.conversation import ended, text_of, turn, whole_log
from tests.support.model_replies import text
from tests.support.patience import WAIT_SECONDS

SERVER = {"settings": {"STALL_SECONDS": 2, "HEARTBEAT_SECONDS": 1, "MAX_QUEUED": 1, "MAX_RUNS": 2}}


async def test_a_client_that_does_not_read_is_cut_and_loses_nothing(server, client):
    """It asks for more than all the buffers between it and the server hold, and never reads."""
    session_id = await client.create_session()
    for _ in range(8):
        await turn(client, session_id, 'call:big {"size": 250000}')
    log = await whole_log(server, session_id)
    async with open_websocket(server.url, max_queue=1, max_size=None) as deaf:
        await deaf.recv()
        deaf.transport.pause_reading()
        for _ in range(20):
            await deaf.send(json.dumps({"event": "user.reconnect", "session_id": session_id}))
        await asyncio.to_thread(server.wait_log, "has read nothing for 2 s")
        # Others notice nothing of it.
        async with asyncio.timeout(WAIT_SECONDS):
            other_id = await client.create_session()
            frames = await turn(client, other_id, "tokens:100")
            assert text_of(frames) == frames[-1].content
            await turn(client, session_id, "hi")
        deaf.transport.resume_reading()
        with pytest.raises(ConnectionClosed):
            while True:
                await deaf.recv()
        assert deaf.close_code == 4408
    assert (await whole_log(server, session_id))[: len(log)] == log


async def test_heartbeats(server, client):
    first, second = await client.create_session(), await client.create_session()
    await turn(client, first, "hi")
    beat = await client.wait_for(
        lambda frame: frame.event == "system.heartbeat" and len(frame.metadata["sessions"]) == 2
    )
    assert (beat.seq, beat.session_id, beat.content) == (None, None, "")
    assert beat.metadata["sessions"] == {first: client.cursors[first], second: 1}
    async with connected(server) as silent:
        for _ in range(2):
            assert (await silent.wait_for("system.heartbeat")).metadata["sessions"] == {}


async def test_only_so_many_runs_at_once_and_the_others_wait(server, client, model):
    model.script(first := text("first answer", hang=1), second := text("second answer", hang=1))
    sessions = [await client.create_session() for _ in range(4)]
    runs = [await client.say(session_id, "hi") for session_id in sessions]
    await asyncio.to_thread(model.request, 2)
    await asyncio.to_thread(first.gate.entered.wait, 10)
    await asyncio.to_thread(second.gate.entered.wait, 10)
    assert len(model.requests) == 2
    # One that waits for a place can be cancelled.
    await client.cancel(sessions[3])
    assert (await client.wait_for(ended(runs[3].run_id))).event == "agent.interrupted"
    first.gate.open()
    assert (await client.wait_for(ended(runs[2].run_id))).content == "You said: hi"
    second.gate.open()
    await client.wait_for(ended(runs[0].run_id))
    await client.wait_for(ended(runs[1].run_id))
    for session_id in sessions:
        await whole_log(server, session_id)


async def test_a_flood_of_requests_is_answered_in_order(client):
    """More than the server takes at once: it reads no further until it has answered, and forgets nothing."""
    for number in range(500):
        event = {"event": "user.list_sessions", "content": {"limit": 1}, "metadata": {"request_id": str(number)}}
        await client.send(event)
    for number in range(500):
        assert (await client.wait_for("system.sessions")).metadata["request_id"] == str(number)
