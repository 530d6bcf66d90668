"""The examples whose answers have to survive the death of a process: killed in the middle of one, and started again."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import ended, whole_log
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

FILES = ("limits_and_fallback.py", "structured_output.py", "steering.py", "hooks_with_memory.py")
TALKS = {
    "stargazer": ("Look at Mars, Venus and Saturn", "Venus is bright and hot.", "limit"),
    "invoices": ("An invoice for ACME: one chair", "item: chair, count: 1, price: 49.5", "answer"),
    "warehouse": ("Look for a lamp", "There is a green lamp and a red lamp.", "answer"),
    "friend": ("My favourite drink is tea", "(I know your drink.)", "answer"),
}
NAMES = ("call", "result")


@pytest.fixture(scope="module")
def killable(tmp_path_factory):
    """The examples on a server with the demo model."""
    files = [str(ROOT / "examples" / name) for name in FILES]
    folder = tmp_path_factory.mktemp("examples")
    environment = {"MYAGENT_LANGUAGE": "en"}
    with AgentServer(folder, *files, options=("--llm", "demo"), environment=environment) as server:
        yield server


@pytest.mark.parametrize("killed_at", ["agent.thinking", "agent.tool_call", "agent.tool_result"])
@pytest.mark.parametrize("agent", TALKS)
async def test_an_answer_survives_a_kill(killable, agent, killed_at):
    said, answered, finish = TALKS[agent]
    async with connected(killable, f"ws/{agent}/") as client:
        session_id = await client.create_session()
        run = await client.say(session_id, said)
        await client.wait_for(killed_at)
        await asyncio.to_thread(killable.kill)
    await asyncio.to_thread(killable.start)
    async with connected(killable, f"ws/{agent}/") as client:
        await client.reconnect(session_id)
        end = await client.wait_for(ended(run.run_id))
    assert answered in end.content and end.metadata["finish"] == finish
    log = await whole_log(killable, session_id)
    assert [frame.event for frame in log if frame.ends_run] == ["agent.final_answer"]
    calls, results = (sorted(frame.step_id for frame in log if frame.event == f"agent.tool_{name}") for name in NAMES)
    assert calls == results and calls
