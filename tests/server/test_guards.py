"""A tool that says in whatever way that a person is to be asked first is never run before a yes."""

from __future__ import annotations

import asyncio

import pytest

from agents.loading.loader import load_agent
from myagent.testing import AgentServer, ScriptedLLM, ask, call
from tests.support.paths import AGENT_FILES
from tests.support.patience import WAIT_SECONDS

FILE = str(AGENT_FILES / "guards.py")


@pytest.fixture(scope="module")
def names():
    return load_agent(FILE).tools.names


@pytest.fixture(scope="module")
def desk():
    """A server, and its model, which calls each tool that it is asked for."""
    llm = ScriptedLLM([])
    with AgentServer(FILE, llm=llm, language="en") as server:
        yield server, llm


async def test_each_of_them_is_asked_and_not_run(desk, names):
    server, llm = desk
    assert len(names) == 19
    llm.extend([[call(name) for name in names], "Nothing was done."])
    async with server.connect() as client:
        turn = await ask(client, "Do it all.", confirm=False)
    assert sorted(frame.metadata["tool_name"] for frame in turn.all("agent.user_confirm")) == sorted(names)
    results = turn.all("agent.tool_result")
    assert [frame.metadata["status"] for frame in results] == ["declined"] * len(names)
    assert not [frame for frame in results if "it ran" in frame.content]


async def test_a_yes_runs_them(desk, names):
    server, llm = desk
    llm.extend([[call(name) for name in names], "Done."])
    async with server.connect() as client:
        turn = await ask(client, "Do it all.", confirm=True)
    assert [frame.content for frame in turn.all("agent.tool_result")] == ["it ran"] * len(names)


async def test_another_session_is_answered_while_they_wait(desk, names):
    server, llm = desk
    llm.extend([[call(name) for name in names]])
    async with server.connect() as client, server.connect() as other:
        session_id = await client.create_session()
        await client.say(session_id, "Do it all.")
        for _name in names:
            await client.wait_for("agent.user_confirm")
        llm.extend(["I am here."])
        async with asyncio.timeout(WAIT_SECONDS):
            assert (await ask(other, "Is somebody there?")).answer == "I am here."
        await client.cancel(session_id)
        await client.wait_for("agent.interrupted")
