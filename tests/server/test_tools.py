"""Tools that fail, take too long, say too much, remember, block: what the client sees, and that nobody else suffers."""

from __future__ import annotations

import asyncio
import json

import pytest

from myagent.client import ConnectionLost
from tests.conftest import connected
from tests.support.agent_files.tools import SECRET
from tests.support.agent_server import AgentServer
from tests.support.conversation import ended, only, turn, whole_log
from tests.support.model_replies import tools
from tests.support.patience import WAIT_SECONDS

pytestmark = pytest.mark.database
SERVER = {"settings": {"HEARTBEAT_SECONDS": 1}}


async def result_of(client, text):
    """The result of the one call that `text` asks for."""
    session_id = await client.create_session()
    frames = await turn(client, session_id, text)
    assert frames[-1].event == "agent.final_answer", frames[-1]
    return only(frames, "agent.tool_result")


async def test_a_tool_that_raises_tells_no_secret(server, client, model):
    session_id = await client.create_session()
    frames = await turn(client, session_id, "call:boom")
    result = only(frames, "agent.tool_result")
    assert result.metadata["status"] == "failed" and "RuntimeError" in result.metadata["error"]
    wire = json.dumps([[frame.content, dict(frame.metadata)] for frame in frames])
    assert SECRET not in wire and "Traceback" not in wire and "tools.py" not in wire
    assert SECRET not in json.dumps(model.request(2).body)
    assert SECRET in server.wait_log("Traceback"), "the operator needs it"
    await whole_log(server, session_id)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("call:broken", "the printer is out of paper"),
        ('call:choosy {"city": "北京"}', "北京 is unknown; use its English name"),
        ('call:add {"a": 1}', "missing: 'b'"),
        ('call:add {"a": 1, "b": "x"}', '"x"; its type must be integer'),
        ('call:meet {"where": "here"}', "place"),
        ("call:nothing_of_the_kind", "There is no tool 'nothing_of_the_kind'"),
    ],
)
async def test_failures_that_the_model_is_told(server, client, model, call, words):
    session_id = await client.create_session()
    frames = await turn(client, session_id, call)
    result = only(frames, "agent.tool_result")
    assert result.metadata["status"] == "failed"
    assert words in result.content and words in result.metadata["error"]
    assert words in model.request(2).messages[-1]["content"]
    assert frames[-1].event == "agent.final_answer"
    assert "Traceback" not in server.log
    await whole_log(server, session_id)


async def test_arguments_that_are_no_json(client, model):
    model.script(tools(("add", '{"a": 1, "b"')))
    session_id = await client.create_session()
    frames = await turn(client, session_id, "add")
    assert only(frames, "agent.tool_call").metadata["args"] == {}
    assert only(frames, "agent.tool_result").metadata["status"] == "failed"
    assert frames[-1].event == "agent.final_answer"


async def test_time_limit(client):
    result = await result_of(client, "call:slow")
    assert result.metadata["status"] == "failed"
    assert "took longer than 0.2 s" in result.content
    assert result.metadata["duration_ms"] >= 190


async def test_a_megabyte(client, model):
    result = await result_of(client, f'call:big {{"size": {2**20}}}')
    assert result.metadata["status"] == "success" and result.metadata["truncated"] is True
    assert len(result.content) == 256 * 1024
    told = model.request(2).messages[-1]["content"]
    assert told.startswith("x" * 50_000) and len(told) < 51_000 and "cut" in told


async def test_progress(client):
    session_id = await client.create_session()
    frames = await turn(client, session_id, "call:steps")
    call = only(frames, "agent.tool_call")
    progress = [frame for frame in frames if frame.event == "agent.tool_progress"]
    assert [(frame.content, frame.metadata["percent"]) for frame in progress] == [
        *(("10 of 100", 10), ("50 of 100", 50), ("90 of 100", 90)),
    ]
    assert {frame.step_id for frame in progress} == {call.step_id}
    assert {frame.metadata["tool"] for frame in progress} == {"steps"}
    assert call.seq < progress[0].seq and progress[-1].seq < only(frames, "agent.tool_result").seq


async def test_context(client):
    assert (await result_of(client, "call:who")).content == "local with tools"


async def test_state_is_kept_over_runs_and_restarts(server, client, running_server):
    session_id = await client.create_session()
    for word in ("red", "green"):
        await turn(client, session_id, f'call:remember {{"word": "{word}"}}')
    assert (await result_of(client, "call:recall")).content == "nothing", "another session's state is another"
    assert only(await turn(client, session_id, "call:recall"), "agent.tool_result").content == "red green"
    await asyncio.to_thread(running_server.restart)
    async with connected(server) as later:
        frames = await turn(later, session_id, "call:recall")
        assert only(frames, "agent.tool_result").content == "red green"


async def test_calls_of_one_reply_run_side_by_side(server, client, model):
    place = '{"place": "park"}'
    session_id = await client.create_session()
    frames = await turn(client, session_id, f"call:meet {place}\ncall:meet {place}")
    results = [frame for frame in frames if frame.event == "agent.tool_result"]
    assert [frame.content for frame in results] == ["met in park"] * 2
    calls = [frame for frame in frames if frame.event == "agent.tool_call"]
    assert calls[-1].seq < results[0].seq and len({frame.step_id for frame in calls}) == 2
    *_, first, second = model.request(2).messages
    assert [first["tool_call_id"], second["tool_call_id"]] == [frame.metadata["call_id"] for frame in calls]
    await whole_log(server, session_id)


async def test_tools_that_block_harm_nobody_else(server, client):
    """Eight `async def` tools that sleep as no `async def` may; a ninth client notices nothing."""
    runs = []
    async with connected(server) as crowd:
        for _ in range(8):
            session_id = await crowd.create_session()
            accepted = await crowd.say(session_id, 'call:freeze {"seconds": 30}')
            runs.append((session_id, accepted.run_id))
        # The first of them blocks the loop that all of them share.
        await crowd.wait_for("agent.tool_progress")
        async with asyncio.timeout(WAIT_SECONDS):
            assert (await result_of(client, 'call:add {"a": 1, "b": 2}')).content == "3"
        for _ in range(2):
            assert (await client.wait_for("system.heartbeat")).metadata["sessions"]
            assert await crowd.wait_for("system.heartbeat")
        async with asyncio.timeout(WAIT_SECONDS):
            for session_id, run_id in runs:
                await crowd.cancel(session_id)
                assert (await crowd.wait_for(ended(run_id))).event == "agent.interrupted"
    assert "'freeze'" in server.wait_log("blocks the loop")
    async with asyncio.timeout(WAIT_SECONDS):
        assert (await result_of(client, "call:steps")).content == "all done"


@pytest.mark.parametrize("call", ["call:block", 'call:freeze {"seconds": 3600}', "call:wait"])
async def test_a_tool_that_never_returns_does_not_hold_up_the_exit(model, tmp_path, call):
    model.reset()
    with AgentServer(tmp_path, "tools.py", model=model, options=["--drain-seconds", "0"]) as server:
        async with connected(server) as client:
            session_id = await client.create_session()
            await client.say(session_id, call)
            await client.wait_for("agent.tool_progress")
            server.terminate()
            with pytest.raises(ConnectionLost) as raised:
                await client.until("never")
            assert raised.value.close_code == 1012
        assert await asyncio.to_thread(server.wait_exit) == 0
        assert "Traceback" not in server.log, server.log
