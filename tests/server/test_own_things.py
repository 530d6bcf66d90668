"""What belongs to the server stays its own, whatever the code of agents does: its log, its streams, its runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.conftest import connected
from tests.support.agent_files.meddling import WAYS
from tests.support.conversation import only, turn

SERVER = {"files": ("meddling.py", "odd_model.py")}


async def called(client, tool, **arguments):
    """The result of one call in a session of its own."""
    frames = await turn(client, await client.create_session(), f"call:{tool} {json.dumps(arguments)}")
    return only(frames, "agent.tool_result").content


async def test_the_log_goes_on_and_names_who_changed_it(server, running_server):
    async with connected(server) as client:
        for number, way in enumerate(WAYS):
            server.forget_log()
            assert await called(client, "meddle", way=way) == "done"
            await called(client, "fail", word=f"broken{number}")
            log = await asyncio.to_thread(server.wait_log, f"ValueError: broken{number}")
            assert "The tool 'meddle' of agent 'meddling' changed what belongs to the server (" in log, (way, log)
            assert log.count("changed what belongs") == 1, (way, log)
            assert log.count(f"ValueError: broken{number}") == 1, "no line comes twice"
        assert await called(client, "where") == str(Path(running_server.folder).resolve())


async def test_who_changed_it_may_still_run(server):
    async with connected(server) as client:
        assert await called(client, "meddle_and_wait", way="dictConfig") == "done"
    assert "The tool 'meddle_and_wait' of agent 'meddling' changed" in server.log


@pytest.mark.parametrize("word", ["exit", "interrupt", "cancel", "leave", "stop"])
async def test_a_run_ends_whatever_its_model_raises(server, word):
    async with connected(server, "ws/odd/") as client:
        frames = await turn(client, await client.create_session(), word)
        assert frames[-1].event == "agent.error"
        frames = await turn(client, await client.create_session(), "hi")
        assert (frames[-1].event, frames[-1].content) == ("agent.final_answer", "fine")
