"""The loop of the server does not turn: somebody else says so."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest

from tests.conftest import connected
from tests.server.test_database_hangs import get
from tests.support.agent_server import AgentServer

pytestmark = pytest.mark.slow
STALL_SECONDS = 7


async def test_health_while_the_loop_does_not_turn(tmp_path):
    seconds = tmp_path / "seconds"
    seconds.write_text(str(STALL_SECONDS))
    environment = {"STALL_FILE": str(seconds)}
    with AgentServer(tmp_path, "stalling.py", options=["--llm", "demo"], environment=environment) as server:
        assert (await asyncio.to_thread(get, server, "/healthz"))[0] == 200
        server._running.send_signal(signal.SIGUSR2)
        await asyncio.to_thread(server.wait_log, "loop has not turned")
        connecting = asyncio.create_task(converse(server))
        status, body = await asyncio.to_thread(get, server, "/healthz")
        assert (status, "stalled" in body) == (503, True), body
        assert not connecting.done()
        await connecting  # its connection waited, and lost nothing
        while (await asyncio.to_thread(get, server, "/healthz"))[0] != 200:
            await asyncio.sleep(0.1)
        assert "stalling.py" in server.log, "where it stands"
        server.terminate()
        assert await asyncio.to_thread(server.wait_exit) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


async def converse(server):
    async with connected(server) as client:
        await client.create_session()
