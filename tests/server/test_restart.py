"""The server stops, in order or not, and starts again: what was said stays said, and what was broken off goes on."""

from __future__ import annotations

import asyncio

import pytest

from myagent.client import ConnectionLost
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, ended, happens, only, text_of, turn, whole_log
from tests.support.model_replies import text, tools
from tests.support.model_server import ModelServer

pytestmark = pytest.mark.database


@pytest.fixture
def server(tmp_path, model: ModelServer):
    """A server of this test alone, since the test stops it."""
    model.reset()
    with AgentServer(tmp_path, "tools.py", model=model, options=["--drain-seconds", "20"]) as server:
        yield server


async def killed(server):
    await asyncio.to_thread(server.kill)


async def started(server):
    await asyncio.to_thread(server.start)


async def stopped(server):
    assert await asyncio.to_thread(server.wait_exit) == 0


async def test_sigterm_lets_a_run_finish_and_closes_with_1012(server, model):
    model.script(answer := text("one two three", hang=1))
    async with connected(server) as client, connected(server) as idle:
        session_id = await client.create_session()
        run = await client.say(session_id, "count")
        await client.wait_for(PARTIAL)
        server.terminate()
        await asyncio.to_thread(server.wait_log, "Waiting up to 20 s for 1 runs")
        # What is said now is kept for the next start.
        late = await client.say(session_id, "and then?")
        answer.gate.open()
        assert (await client.wait_for(ended(run.run_id))).content == "one two three"
        for connection in (client, idle):
            with pytest.raises(ConnectionLost) as raised:
                await connection.until("never")
            assert raised.value.close_code == 1012
    await stopped(server)
    assert "Traceback" not in server.log
    await started(server)
    async with connected(server, cursors=client.cursors) as client:
        await client.reconnect(session_id)
        assert (await client.wait_for(ended(late.run_id))).content == "You said: and then?"
    log = await whole_log(server, session_id)
    assert [frame.event for frame in log if frame.ends_run] == ["agent.final_answer"] * 2


async def test_sessions_and_logs_are_the_same_after_a_restart(server):
    async with connected(server) as client:
        session_id = await client.create_session(title="to be kept", metadata={"a": 1})
        await turn(client, session_id, 'call:add {"a": 1, "b": 2}')
        before = await client.request({"event": "user.list_sessions"})
    log = await whole_log(server, session_id)
    await asyncio.to_thread(server.restart)
    assert await whole_log(server, session_id) == log
    async with connected(server) as client:
        after = await client.request({"event": "user.list_sessions"})
        assert after.metadata["sessions"] == before.metadata["sessions"]
        frames = await turn(client, session_id, "still there?")
        assert frames[0].seq == log[-1].seq + 2, "numbers go on behind the message"


async def gone_on(server, session_id, run_id):
    """The log after the restart: the run went on, and has one end, an answer."""
    async with connected(server) as client:
        await client.reconnect(session_id)
        await client.wait_for(ended(run_id))
    log = await whole_log(server, session_id)
    (end,) = [frame for frame in log if frame.ends_run and frame.run_id == run_id]
    assert end.event == "agent.final_answer"
    return log


async def test_killed_in_the_middle_of_an_answer(server, model):
    model.script(text("one two three four", hang=3), text("one two three four five"), text("six"))
    async with connected(server) as client:
        session_id = await client.create_session()
        run = await client.say(session_id, "count")
        shown = await client.until(lambda frame: frame.event == PARTIAL and frame.content.endswith("three "))
        queued = await client.say(session_id, "go on")
        await killed(server)
        cursors = dict(client.cursors)
    await started(server)
    async with connected(server, cursors=cursors) as client:
        await client.reconnect(session_id)
        assert (await client.wait_for(ended(run.run_id))).content == "one two three four five"
        assert (await client.wait_for(ended(queued.run_id))).content == "six"
    log = await gone_on(server, session_id, run.run_id)
    assert [frame for frame in shown if frame.seq] == [
        frame for frame in log if frame.run_id == run.run_id and frame in shown
    ], "what was shown is in the log"
    assert only(log, "agent.step_reset").metadata == {"run_id": run.run_id, "step": 1, "reason": "restart"}
    assert text_of(frame for frame in log if frame.run_id == run.run_id) == "one two three four five"
    # The model is asked the same again, without what it had said of the answer that was cut off.
    assert model.requests[1].messages == model.requests[0].messages
    assert [message["content"] for message in model.requests[-1].messages[1:]] == [
        "count",
        "one two three four five",
        "go on",
    ]


async def test_killed_in_a_tool(server, model):
    async with connected(server) as client:
        session_id = await client.create_session()
        run = await client.say(session_id, 'call:wait\ncall:add {"a": 1, "b": 2}')
        await client.wait_for("agent.tool_progress")
        await client.wait_for("agent.tool_result")
        await killed(server)
    await started(server)
    log = await gone_on(server, session_id, run.run_id)
    results = [
        (frame.metadata["tool"], frame.metadata["status"]) for frame in log if frame.event == "agent.tool_result"
    ]
    assert results == [("add", "success"), ("wait", "unknown")]
    assert len(model.requests) == 2, "the reply that asked for the tools is not asked for again"
    messages = model.requests[-1].messages
    asked = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    assert [message["tool_call_id"] for message in messages if message["role"] == "tool"] == asked
    assert len(asked) == 2


async def test_killed_while_a_person_is_asked(server, model, tmp_path):
    path = tmp_path / "written"
    model.script(tools(("write", {"path": str(path), "text": "x"})))
    async with connected(server) as client:
        session_id = await client.create_session()
        run = await client.say(session_id, "write")
        question = await client.wait_for("agent.user_confirm")
        await killed(server)
    await started(server)
    async with connected(server) as client:
        await client.respond(session_id, question.step_id, True)
        assert (await client.wait_for(ended(run.run_id))).event == "agent.final_answer"
        assert (await turn(client, session_id, "hi"))[-1].content == "You said: hi"
    log = await gone_on(server, session_id, run.run_id)
    assert only(log, "agent.user_confirm") == question, "it was asked once"
    assert only(log, "agent.tool_result").metadata["status"] == "success"
    assert path.read_text() == "x"


async def test_stopped_before_the_run_could_finish(model, tmp_path):
    model.reset()
    model.script(text("one two three", hang=1), text("one two three"))
    with AgentServer(tmp_path, "tools.py", model=model, options=["--drain-seconds", "0"]) as server:
        async with connected(server) as client:
            session_id = await client.create_session()
            run = await client.say(session_id, "count")
            await client.wait_for(PARTIAL)
            server.terminate()
            await happens(model.request().disconnected)
            await stopped(server)
        await started(server)
        log = await gone_on(server, session_id, run.run_id)
        assert log[-1].content == "one two three"
        async with connected(server) as client:
            assert (await turn(client, session_id, "hi"))[-1].content == "You said: hi"


async def test_a_kill_under_load_loses_nothing_that_was_shown(server, model):
    async with connected(server) as client:
        sessions = [await client.create_session() for _ in range(10)]
        runs = [await client.say(session_id, "tokens:500 delay:2") for session_id in sessions]
        shown = await client.until(lambda frame: (frame.seq or 0) > 12)
        await killed(server)
        shown += [frame async for frame in client]
    await started(server)
    for session_id, run in zip(sessions, runs, strict=True):
        log = await gone_on(server, session_id, run.run_id)
        kept = {frame.seq: frame for frame in log}
        for frame in shown:
            if frame.session_id == session_id and frame.seq is not None:
                assert kept[frame.seq] == frame
        assert text_of(log) == log[-1].content
