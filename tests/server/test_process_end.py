"""The process ends in its time and lets go of its port, whatever the code of agents has left running."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from agents.hosting.last_moments import END_SECONDS
from myagent.client import ConnectionLost
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import only, turn
from tests.support.patience import within

SLACK = 15.0
"""Seconds that a slow machine may take on top."""


async def called(client, tool):
    """The result of one call in a session of its own."""
    frames = await turn(client, await client.create_session(), f"call:{tool}")
    return only(frames, "agent.tool_result").content


async def stopped(server, seconds):
    """Stop the server, which takes so long at most; returns its exit code."""
    with within(seconds):
        server.terminate()
        return await asyncio.to_thread(server.wait_exit)


def server_at(folder: Path, model, **environment):
    options = ["--drain-seconds", "0"]
    return AgentServer(folder, "lingering.py", model=model, options=options, environment=environment)


async def test_it_waits_for_nothing_and_says_for_what(model, tmp_path):
    model.reset()
    with server_at(tmp_path, model, LINGER_AT_IMPORT="1") as server:
        async with connected(server) as client:
            assert await called(client, "index") == "indexing"
            assert await called(client, "keep_thread") == "started"
            assert await called(client, "keep_pool") == "started"
            assert (await called(client, "exit_program")).startswith("Error: ")
            own, child = await called(client, "fork_and_return"), int(await called(client, "fork"))
            assert own != "0"
            try:
                code = await stopped(server, END_SECONDS + SLACK)
                with pytest.raises(ConnectionLost) as lost:
                    await client.until("never")
                assert lost.value.close_code == 1012
                assert code == 0
                os.kill(child, 0)  # it is still there, and holds neither the port nor the connection
                await asyncio.to_thread(server.start)
            finally:
                os.kill(child, signal.SIGKILL)
    log = server.log
    sys.stdout.write(log)
    file = "agent_files/lingering.py"
    assert "Ending the child process indexer (the tool 'index' of agent 'lingering')." in log
    assert "The process is ended now, since it does not end by itself. It waits for: " in log
    assert "the thread lingerer (the tool 'keep_thread' of agent 'lingering') at " in log and f"{file}:" in log
    assert "_0 (the agent file " in log and "_0 (the tool 'keep_pool' of agent 'lingering')" in log


async def test_what_waits_at_exit_is_named(model, tmp_path):
    model.reset()
    with server_at(tmp_path, model) as server:
        async with connected(server) as client:
            assert await called(client, "wait_at_exit") == "registered"
        code = await stopped(server, END_SECONDS + SLACK)
        assert code == 0
    assert "the main thread at " in server.log and "agent_files/lingering.py:" in server.log


async def test_an_ordinary_end_waits_for_nobody(model, tmp_path):
    with server_at(tmp_path, model) as server:
        code = await stopped(server, END_SECONDS)
        assert code == 0
    assert "does not end by itself" not in server.log
