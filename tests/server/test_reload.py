"""An operator reloads and switches agents of two servers that go on: nobody loses a session, runs end as they began."""

from __future__ import annotations

import asyncio
from textwrap import dedent

import pytest

from myagent.client import RequestRefused
from tests.conftest import connected
from tests.support.conversation import ended, kinds, refusal, turn, whole_log
from tests.support.two_servers import SQLITE, two_servers

CLOCK = """
    import asyncio
    import threading
    from pathlib import Path

    import words
    from myagent import RunContext, create_react_agent, tool

    FILE = "{words}"

    @tool
    async def version() -> str:
        '''Says which code this is.'''
        import spoken_later
        return f"{{FILE}} {{words.HELPER}} {{spoken_later.LATER}}"

    @tool
    def threads() -> str:
        '''Counts the loops of this agent's tools.'''
        return str(sum(thread.name == "tools of clock" for thread in threading.enumerate()))

    @tool(timeout=None)
    async def hold(run: RunContext, path: str) -> str:
        '''Waits for a file.'''
        run.progress("held")
        while not Path(path).exists():
            await asyncio.sleep(0.02)
        return f"{{FILE}} {{words.HELPER}}"

    agent = create_react_agent(name="clock", description="{words}", tools=[version, threads, hold])
"""


class Bots:
    """A folder of agents that an operator changes."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, name, text):
        (self.folder / name).write_text(dedent(text))

    def say(self, words):
        """Let everything of the clock say other words."""
        self.write("clock.py", CLOCK.format(words=words))
        self.write("words.py", f"HELPER = {words!r}")
        self.write("spoken_later.py", f"LATER = {words!r}")


@pytest.fixture(scope="module")
def bots(tmp_path_factory):
    bots = Bots(tmp_path_factory.mktemp("bots"))
    bots.say("one")
    bots.write("broken.py", "agent = 1 / 0")
    return bots


@pytest.fixture(scope="module")
def running_pair(bots, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reload")
    with two_servers(SQLITE, folder, model, files=(str(bots.folder),), settings={"GRANTS_SECONDS": 0.2}) as pair:
        yield pair


@pytest.fixture
def pair(running_pair, model):
    model.reset()
    yield running_pair
    for server in running_pair:
        assert "Traceback" not in server.log, server.log


async def manage(server, *arguments, **options):
    return await asyncio.to_thread(server.manage, *arguments, **options)


async def reload(pair, *names, then=None):
    """Ask for a reload and wait until both servers have done it; `then` is how the agents are named afterwards."""
    then = then or names
    for server in pair:
        server.forget_log()
    told = await manage(pair[0], "agents", "reload", *names, "--wait")
    assert sorted(told.splitlines()) == sorted(f"✅ {name} was reloaded." for name in then)
    for server in pair:
        for name in then:
            await asyncio.to_thread(server.wait_log, f"Reloaded the agent {name}")


async def asked(client, session_id, call, *, whole=False):
    """What a tool answers, or the whole frame of the final answer."""
    frame = (await turn(client, session_id, f"call:{call}"))[-1]
    return frame if whole else frame.content.removeprefix("Result: ")


async def test_new_code_is_taken_up_while_a_run_goes_on_with_the_old(pair, bots, tmp_path):
    gate = tmp_path / "gate"
    async with connected(pair[0], "ws/clock/") as here, connected(pair[1], "ws/clock/") as there:
        going, other, elsewhere = [await client.create_session() for client in (here, here, there)]
        for client, session_id in ((here, other), (there, elsewhere)):
            assert await asked(client, session_id, "version") == "one one one"
        run = await here.say(going, f'call:hold {{"path": "{gate}"}}')
        await here.wait_for("agent.tool_progress")
        bots.say("two")
        await reload(pair, "clock")
        # The sessions of before have the new code, on the same connections; the run that goes on has the old one.
        for client, session_id in ((here, other), (there, elsewhere)):
            assert await asked(client, session_id, "version") == "two two two"
        assert await asked(here, other, "threads") == "2"
        gate.touch()
        assert (await here.wait_for(ended(run.run_id))).content == "Result: one one"
        assert await asked(here, going, "version") == "two two two"
        while await asked(here, other, "threads") != "1":
            await asyncio.sleep(0.05)
    for session_id in (going, other, elsewhere):
        await whole_log(pair[1], session_id)


BROKEN = [
    ("words.py", "1 / 0", "ZeroDivisionError"),
    ("clock.py", "from myagent import *\nagent = create_react_agent(name='watch')", "is now named 'watch'"),
]


async def test_what_cannot_be_loaded_changes_nothing_and_is_told(pair, bots):
    async with connected(pair[0], "ws/clock/") as client:
        session_id = await client.create_session()
        before = await asked(client, session_id, "version")
        for file, text, words in BROKEN:
            bots.say("evil")
            bots.write(file, text)
            for server in pair:
                server.forget_log()
            told = await manage(pair[0], "agents", "reload", "clock", "--wait", code=1)
            assert told.startswith("❌ clock: ")
            assert words in told
            assert "The version loaded before stays in use." in told
            for server in pair:  # the command returns with the first; what a tool imports meanwhile is not settled
                await asyncio.to_thread(server.wait_log, "cannot be reloaded")
            assert await asked(client, session_id, "version") == before
        listed = await manage(pair[0], "agents", "list")
        assert "❌ clock: " in listed
        # What could not be loaded at the start is served once it can.
        assert "❌ broken.py: " in listed
        assert "⚠️  Not served: " in pair[0].banner
        bots.say("mended")
        bots.write("broken.py", "from myagent import create_react_agent\nagent = create_react_agent(name='newcomer')")
        await reload(pair, "clock", "broken.py", then=["clock", "newcomer"])
        assert await asked(client, session_id, "version") == "mended mended mended"
    for server in pair:
        async with connected(server, "ws/newcomer/") as client:
            assert (await turn(client, await client.create_session(), "hi"))[-1].content == "You said: hi"


async def test_what_is_switched_off_ends_what_it_does_and_begins_nothing(pair, bots, tmp_path):
    gate = tmp_path / "gate"
    async with connected(pair[0], "ws/clock/") as client, connected(pair[1], "ws/clock/") as there:
        going, idle = await client.create_session(), await there.create_session()
        run = await client.say(going, f'call:hold {{"path": "{gate}"}}')
        await client.wait_for("agent.tool_progress")
        queued = await client.say(going, "and then?")
        await manage(pair[0], "agents", "disable", "clock")
        for connection, session_id in ((client, going), (there, idle)):
            refused = await switched_off(connection, session_id)
            assert "clock" in refused.content
        gate.touch()
        assert (await client.wait_for(ended(run.run_id))).event == "agent.final_answer"
        frames = (await whole_log(pair[1], going))[-1:]
        assert kinds(frames) == ["agent.final_answer"], "the queued message was begun"
        await manage(pair[0], "agents", "enable", "clock")
        assert (await client.wait_for(ended(queued.run_id))).content == "You said: and then?"


async def test_whoever_deletes_the_row_of_an_agent_switches_it_off(pair):
    async with connected(pair[0], "ws/clock/") as client, connected(pair[1], "ws/clock/") as there:
        sessions = [await connection.create_session() for connection in (client, there)]
        delete = "from agents.models import *; HostedAgent.objects.filter(name='clock').delete()"
        await manage(pair[0], "shell", "-c", delete)
        for connection, session_id in zip((client, there), sessions, strict=True):
            assert "clock" in (await switched_off(connection, session_id)).content
        await manage(pair[0], "agents", "enable", "clock")
        for connection, session_id in zip((client, there), sessions, strict=True):
            await switched_on(connection, session_id)


async def test_nobody_loses_a_session_whose_agent_is_switched_off(pair, bots, tmp_path):
    gate = tmp_path / "gate"
    async with connected(pair[0]) as client:
        going, idle = await client.create_session("clock"), await client.create_session("clock")
        await turn(client, idle, "before")
        run = await client.say(going, f'call:hold {{"path": "{gate}"}}')
        await client.wait_for("agent.tool_progress")
        state = (await client.request({"event": "user.request_state", "session_id": idle})).metadata["signed_state"]
        await manage(pair[0], "agents", "disable", "clock")
        async with connected(pair[1]) as other:
            for connection in (client, other):
                await switched_off(connection, idle)
    # Whoever comes back finds everything, by the path of the agent too.
    async with connected(pair[0], "ws/clock/") as here, connected(pair[1]) as there:
        for connection in (here, there):
            assert "clock" not in connection.agents
            assert {going, idle} <= {row.session_id for row in (await connection.list_sessions()).sessions}
            mine = (await connection.list_sessions(agent="clock")).sessions
            assert {going, idle} <= {row.session_id for row in mine}
            assert (await connection.reconnect(going)).run_status == "running"
            assert (await connection.reconnect(idle)).count > 1
            restored = await connection.request({"event": "user.reconnect_with_state", "signed_state": state})
            assert (restored.event, restored.session_id) == ("agent.state_restored", idle)
            for event in (
                {"event": "user.create_session", "content": {"agent": "clock"}},
                {"event": "user.message", "session_id": idle, "content": "hi"},
            ):
                refused = await refusal(connection, event)
                assert (refused.code, refused.event) == ("agent_unavailable", "agent.error")
                assert "clock" in refused.content
        gate.touch()
        for connection in (here, there):
            assert (await connection.wait_for(ended(run.run_id))).event == "agent.final_answer"
        # What would be a new session has to wait, and the state is as good as before.
        await here.request({"event": "user.delete_session", "session_id": idle})
        refused = await refusal(here, {"event": "user.reconnect_with_state", "signed_state": state})
        assert (refused.code, refused.event) == ("agent_unavailable", "agent.error")
        await manage(pair[0], "agents", "enable", "clock")
        # The same connections, and the agent of the path is what it was.
        new = await session_when_on(here)
        assert (await here.wait_for("agent.session_created")).metadata["agent_name"] == "clock"
        assert (await turn(here, new, "hi"))[-1].content == "You said: hi"
        assert (await turn(here, going, "after"))[-1].content == "You said: after"
        restored = await here.request({"event": "user.reconnect_with_state", "signed_state": state})
        assert restored.event == "agent.state_restored" and restored.session_id not in (going, idle)


async def session_when_on(client):
    """A session with the agent of the path, as soon as the server has learnt that it is on."""
    while True:
        try:
            return await client.create_session()
        except RequestRefused as refused:
            assert refused.code == "agent_unavailable"
            await asyncio.sleep(0.05)


async def test_limits_hold_for_both_servers_together(pair, bots, tmp_path):
    gate = tmp_path / "gate"
    await limit(pair[0], max_runs=1, max_steps=1)
    async with connected(pair[0], "ws/clock/") as here, connected(pair[1], "ws/clock/") as there:
        going, waiting = await here.create_session(), await there.create_session()
        while (await asked(here, going, "version", whole=True)).metadata["finish"] != "max_steps":
            await asyncio.sleep(0.05)
        while (await asked(there, waiting, "version", whole=True)).metadata["finish"] != "max_steps":
            await asyncio.sleep(0.05)
        run = await here.say(going, f'call:hold {{"path": "{gate}"}}')
        await here.wait_for("agent.tool_progress")
        queued = await there.say(waiting, "hi")
        assert queued.position == 1
        gate.touch()
        await here.wait_for(ended(run.run_id))
        frames = await there.until(ended(queued.run_id))
        assert frames[-1].content == "You said: hi"
        log = await whole_log(pair[0], going)
        begun = next(frame for frame in frames if frame.event == "agent.thinking")
        assert begun.timestamp >= log[-1].timestamp
    await limit(pair[0], max_runs=None, max_steps=None)


async def limit(server, **limits):
    await manage(server, "shell", "-c", f"from agents.models import *; HostedAgent.objects.update(**{limits!r})")


async def switched_off(client, session_id):
    """The refusal that comes as soon as the server has learnt of it; what it accepts before is cancelled."""
    while True:
        event = {"event": "user.message", "session_id": session_id, "content": "hi"}
        try:
            refused = await refusal(client, event)
        except AssertionError:
            await asyncio.sleep(0.05)
            continue
        assert refused.code == "agent_unavailable"
        return refused


async def switched_on(client, session_id):
    """Return as soon as the server accepts messages again."""
    while True:
        try:
            return await client.say(session_id, "hi")
        except RequestRefused:
            await asyncio.sleep(0.05)
