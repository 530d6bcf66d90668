"""A stop while much goes on: those that end in time have their answers, the others go on at the next start."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import ended, happens, whole_log
from tests.support.model_replies import text

RUNS = 200


def hold(model):
    """Let the next replies of the model stand still after a word."""
    held = [text("one two three", hang=1) for _ in range(RUNS)]
    model.reset()
    model.script(*held)
    return held


async def asked(*held):
    await asyncio.gather(*(happens(answer.gate.entered) for answer in held))


async def left(server, client):
    """The runs whose end was sent to `client` before its connection ended."""
    runs = [frame.run_id async for frame in client if frame.ends_run]
    return runs, client.close_code, await asyncio.to_thread(server.wait_exit)


@pytest.mark.slow
async def test_two_hundred_runs(model, tmp_path):
    with AgentServer(tmp_path, "tools.py", model=model, options=["--drain-seconds", "1"], exec=True) as server:
        held = hold(model)
        async with connected(server) as client:
            sessions = [await client.create_session() for _ in range(RUNS)]
            runs = [(await client.say(session_id, "count")).run_id for session_id in sessions]
            await asked(*held)
            server.terminate()
            await asyncio.to_thread(server.wait_log, f"for {RUNS} runs to end")
            server.terminate()
            assert await left(server, client) == ([], 1006, 143), "the second signal waits for nothing"

        held = hold(model)
        server.forget_log()
        await asyncio.to_thread(server.start)
        async with connected(server, cursors=client.cursors) as client:
            for session_id in sessions:
                await client.reconnect(session_id)
            await asked(*held)
            server.terminate()
            await asyncio.to_thread(server.wait_log, f"for {RUNS} runs to end")
            for answer in held[:20]:
                answer.gate.open()
            early, *end = await left(server, client)
            assert end == [1012, 0]
            assert len(early) <= 20, "the others are still held"

        await asyncio.to_thread(server.start)
        async with connected(server, cursors=client.cursors) as client:
            for session_id in sessions:
                await client.reconnect(session_id)
            late = [(await client.wait_for(ended())).run_id for _ in range(RUNS - len(early))]
        assert sorted(early + late) == sorted(runs)
        for session_id in sessions[:3]:
            assert [frame.event for frame in await whole_log(server, session_id)].count("agent.final_answer") == 1
        assert "Traceback" not in server.log
