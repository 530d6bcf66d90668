"""One slow moment of a tool costs nobody a client, and a tool that is always slow holds up nobody else."""

from __future__ import annotations

import asyncio
import json

from tests.conftest import connected
from tests.support.conversation import only, turn

SERVER = {"files": ("blocking.py",)}


async def called(server, tool, **arguments):
    """The result of one call in a session of its own."""
    async with connected(server) as client:
        frames = await turn(client, await client.create_session(), f"call:{tool} {json.dumps(arguments)}")
        result = only(frames, "agent.tool_result")
        assert result.metadata["status"] == "success", result.content
        return result.content


async def probed(server):
    assert await called(server, "greet", name="Ann") == "Hello, Ann!"


async def test_a_slow_first_call_and_a_tool_that_is_always_slow(server, running_server, tmp_path):
    """What blocks does so until the test has seen that others are answered meanwhile."""
    # Six at once, of which the first one loads: all of them use what it opened.
    words = [f"word{number}" for number in range(6)]
    loaded = tmp_path / "loaded"
    loading = [asyncio.create_task(called(server, "say", word=word, until=str(loaded))) for word in words]
    # Not before: a call that has begun beside it would have to wait for it.
    await asyncio.to_thread(server.wait_log, "Until it is free")
    await probed(server)
    loaded.touch()
    assert await asyncio.gather(*loading) == [f"echo {word}" for word in words]
    for word in words:
        assert await called(server, "say", word=word) == f"echo {word}"
    assert "again and again" not in server.log

    # Another one shares the connection, and blocks each time.
    for word in words[:3]:
        pondered = tmp_path / word
        pondering = asyncio.create_task(called(server, "ponder", word=word, until=str(pondered)))
        await probed(server)
        pondered.touch()
        assert await pondering == f"echo {word}"
    answers = await asyncio.gather(*(called(server, name, word=name) for name in ("ponder", "say", "ponder")))
    assert answers == ["echo ponder", "echo say", "echo ponder"]
    await probed(server)

    log = server.wait_log("again and again")
    assert log.count("again and again") == 1
    assert "'ponder' of agent 'blocking' blocks its loop again and again, at " in log
    listed = await asyncio.to_thread(running_server.manage, "agents", "list")
    assert "blocking: the tool ponder blocks its event loop again and again, at " in listed
    assert "agent_files/blocking.py:" in listed
    await asyncio.to_thread(running_server.restart)
    assert "again and again" not in await asyncio.to_thread(running_server.manage, "agents", "list")
