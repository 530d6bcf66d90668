"""New code, new packages and a new interpreter for all workers, while they serve."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from textwrap import dedent

import pytest

from myagent.client import ConnectionLost
from tests.conftest import connected
from tests.support.conversation import PARTIAL, ended, only, text_of, turn, whole_log
from tests.support.model_replies import text
from tests.support.worker_pids import ServerInSession, workers_of
from tests.support.workers import on_two_workers

RESTART_SECONDS = 90
"""More than a busy machine needs to start several interpreters."""
BACK_SECONDS = 2.0
"""Within which a client that a worker sent away is served by another one."""

AGENT = """
    import os
    import an_installed_package
    from myagent import create_react_agent, tool

    @tool
    def version() -> str:
        '''Says which code this is.'''
        return f"{words} {{an_installed_package.VERSION}} {{os.environ['SPOKEN']}}"

    agent = create_react_agent(name="clock", tools=[version])
"""


class Code:
    """What an operator changes: an agent file, and what no hot reload touches: a package, and variables."""

    def __init__(self, folder):
        self.agents, self.packages, self.variables = folder / "agents", folder / "packages", folder / ".env"
        self.agents.mkdir()
        self.packages.mkdir()
        (self.agents / "never.py").write_text("agent = 1 / 0")
        (self.agents / "other.py").write_text(
            "from myagent import create_react_agent\nagent = create_react_agent(name='other', tools=[])"
        )

    def write(self, words, version):
        (self.agents / "clock.py").write_text(dedent(AGENT).format(words=words))
        (self.packages / "an_installed_package.py").write_text(f"VERSION = {version!r}")
        self.variables.write_text(f"SPOKEN={words}")


async def version(client, session_id):
    frames = await turn(client, session_id, "call:version")
    return only([frame for frame in frames if frame.run_id == frames[-1].run_id], "agent.tool_result").content


class Knocking:
    """Connects to a port again and again, and counts those who were not let in."""

    def __init__(self, port):
        self._port = port
        self.knocks, self.refused = 0, []

    async def __aenter__(self):
        self._task = asyncio.create_task(self._knock())
        return self

    async def __aexit__(self, *_error):
        self._task.cancel()

    async def _knock(self):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
                assert b" 200 " in answer, answer
                writer.close()
            except (OSError, AssertionError) as error:
                self.refused.append(error)
            self.knocks += 1
            await asyncio.sleep(0.02)


async def sent_away(client):
    """When the server closed this connection, asking to come back."""
    with pytest.raises(ConnectionLost) as lost:
        async with asyncio.timeout(RESTART_SECONDS):
            await client.until("never")
    assert lost.value.close_code == 1012
    return time.monotonic()


async def back_within_seconds(server, session_id, client):
    """A client that was sent away follows its session again."""
    at = await sent_away(client)
    async with connected(server, cursors=client.cursors) as again:
        await again.reconnect(session_id)
        return time.monotonic() - at


@pytest.mark.slow
async def test_workers_are_replaced_one_after_the_other(model, tmp_path):
    model.reset()
    code = Code(tmp_path)
    code.write("one", "1")
    options = ["--workers", "2", "--drain-seconds", "1"]
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    server = ServerInSession(
        tmp_path, str(code.agents / "clock.py"), str(code.agents), model=model, options=options, environment=environment
    )
    server.environment["PYTHONPATH"] += f"{os.pathsep}{code.packages}"
    with server:
        await asyncio.to_thread(server.wait_log, "[1] ")
        async with on_two_workers(server) as (here, there):
            session_id = await here.create_session()
            await there.reconnect(session_id)
            assert await version(here, session_id) == "one 1 one"
            old = workers_of(server)

            # One that cannot be loaded changes nothing, and is told where a failed reload is told.
            (code.agents / "clock.py").write_text("agent = 1 / 0")
            (code.packages / "an_installed_package.py").write_text("VERSION = '2'")
            said = await asyncio.to_thread(server.manage, "agents", "reload", "--workers", code=1)
            assert "0 workers were replaced, the others stay as they are" in said and "division by zero" in said
            os.kill(server._running.pid, signal.SIGHUP)
            await asyncio.to_thread(wait_count, server, "0 of 2 workers were replaced", 2)
            assert workers_of(server) == old
            assert "clock.py cannot be reloaded" in server.log
            listed = await asyncio.to_thread(server.manage, "agents", "list")
            assert "The version loaded before stays in use." in listed
            assert await version(there, session_id) == "one 1 one"

            # In the middle of an answer; nobody who comes is turned away meanwhile.
            code.write("two", "2")
            model.script(text("one two three", hang=1), text("one two three"))
            run = await here.say(session_id, "count")
            await there.wait_for(PARTIAL)
            async with Knocking(server.port) as knocking:
                restart = asyncio.create_task(asyncio.to_thread(server.manage, "agents", "reload", "--workers"))
                backs = await asyncio.gather(*(back_within_seconds(server, session_id, each) for each in (here, there)))
                assert "✅ 2 workers were replaced." in await restart
            assert max(backs) < BACK_SECONDS
            assert knocking.refused == [] and knocking.knocks > 5
        assert not workers_of(server) & old and len(workers_of(server)) == 2
        async with connected(server) as client:
            await client.reconnect(session_id)
            log = await whole_log(server, session_id)
            if not any(frame.ends_run and frame.run_id == run.run_id for frame in log):
                await client.wait_for(ended(run.run_id))
            assert await version(client, session_id) == "two 2 two"
        frames = [frame for frame in await whole_log(server, session_id) if frame.run_id == run.run_id]
        assert text_of(frames) == "one two three" and frames[-1].event == "agent.final_answer"
        listed = await asyncio.to_thread(server.manage, "agents", "list")
        assert "stays in use" not in listed and "never.py" in listed, "what never worked is no reason"

        # SIGHUP does the same, and the port belongs to nobody else afterwards.
        code.write("three", "3")
        os.kill(server._running.pid, signal.SIGHUP)
        await asyncio.to_thread(wait_count, server, "All 2 workers were replaced", 2)
        async with connected(server) as client:
            assert await version(client, await client.create_session()) == "three 3 three"
        server.terminate()
        assert await asyncio.to_thread(server.wait_exit) == 0
        with socket.create_server(("127.0.0.1", server.port)):
            pass
        said = await asyncio.to_thread(server.manage, "agents", "reload", "--workers", code=1)
        assert "No server with workers uses the data folder" in said
        assert "Traceback" not in server.log, server.log


def wait_count(server, words, count):
    with server._changed:
        assert server._changed.wait_for(lambda: server.log.count(words) >= count, RESTART_SECONDS), server.log
