"""A process dies, or freezes and wakes up: another one goes on with its runs, and the log stays one story."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import connected
from tests.support.conversation import PARTIAL, ended, happens, only, text_of, turn, whole_log
from tests.support.model_replies import text, tools
from tests.support.two_servers import KINDS, NEVER, POSTGRES, POSTGRES_REDIS, SQLITE, lapse, two_servers

LEASE_SECONDS = 6
"""Long enough for a busy machine to renew it, short enough to wait for its end."""

FURTHEST = (SQLITE, POSTGRES_REDIS)
"""The ways that differ most; what lies between is tried by one test, because each pair of servers takes seconds."""


def settings_for(kind):
    """On one folder the lock of the dead process tells, long before its lease could."""
    return {"LEASE_SECONDS": NEVER if kind == SQLITE else LEASE_SECONDS}


async def answered_again(server, session_id, run_id, answer):
    """The log: what was shown of the answer is void, it came again, and the run has that one end."""
    log = await whole_log(server, session_id)
    frames = [frame for frame in log if frame.run_id == run_id]
    assert only(frames, "agent.step_reset").metadata["reason"] == "restart"
    assert [frame.event for frame in frames if frame.ends_run] == ["agent.final_answer"]
    assert text_of(frames) == frames[-1].content == answer
    return log


@pytest.mark.parametrize("kind", KINDS)
async def test_killed_in_an_answer(kind, model, tmp_path):
    model.reset()
    model.script(text("one two three", hang=1), text("one two three"))
    with two_servers(kind, tmp_path, model, settings=settings_for(kind)) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "count")
            queued = await there.say(session_id, "go on")
            await there.wait_for(PARTIAL)
            await asyncio.to_thread(first.kill)
            assert (await there.wait_for(ended(run.run_id))).content == "one two three"
            assert (await there.wait_for(ended(queued.run_id))).content == "You said: go on"
        await answered_again(second, session_id, run.run_id, "one two three")
        await asyncio.to_thread(first.start)
        async with connected(first, cursors=here.cursors) as here:
            await here.reconnect(session_id)
            assert (await here.wait_for(ended(queued.run_id))).content == "You said: go on"
            assert (await turn(here, session_id, "back"))[-1].content == "You said: back"
        assert await whole_log(first, session_id) == await whole_log(second, session_id)
        assert "Traceback" not in second.log


@pytest.mark.parametrize("kind", FURTHEST)
async def test_killed_while_a_person_is_asked(kind, model, tmp_path):
    model.reset()
    path = tmp_path / "written"
    model.script(tools(("write", {"path": str(path), "text": "x"})))
    with two_servers(kind, tmp_path, model, settings={"LEASE_SECONDS": NEVER}) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "write")
            question = await there.wait_for("agent.user_confirm")
            await asyncio.to_thread(first.kill)
            # The answer is on record at once, whether the other process has taken the run over by now or not.
            await there.respond(session_id, question.step_id, True)
            await asyncio.to_thread(lapse, second)
            assert (await there.wait_for(ended(run.run_id))).event == "agent.final_answer"
        log = await whole_log(second, session_id)
        assert only(log, "agent.user_confirm") == question
        assert only(log, "agent.tool_result").metadata["status"] == "success"
        assert path.read_text() == "x"


@pytest.mark.parametrize("kind", [POSTGRES])
async def test_killed_and_cancelled_before_anybody_took_over(kind, model, tmp_path):
    model.reset()
    model.script(text("one two three", hang=1))
    with two_servers(kind, tmp_path, model, settings={"LEASE_SECONDS": NEVER}) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "count")
            await there.wait_for(PARTIAL)
            await asyncio.to_thread(first.kill)
            await there.cancel(session_id)
            assert (await there.wait_for(ended(run.run_id))).event == "agent.interrupted"
            assert (await turn(there, session_id, "next"))[-1].content == "You said: next"
        log = await whole_log(second, session_id)
        assert [frame.event for frame in log if frame.ends_run] == ["agent.interrupted", "agent.final_answer"]


@pytest.mark.parametrize("kind", FURTHEST)
async def test_frozen_longer_than_its_lease(kind, model, tmp_path):
    model.reset()
    model.script(stale := text("never shown to anybody", hang=1), text("one two three"))
    with two_servers(kind, tmp_path, model, settings={"LEASE_SECONDS": NEVER}) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "count")
            await there.wait_for(PARTIAL)
            first.pause()
            queued = await there.say(session_id, "go on")
            await asyncio.to_thread(lapse, second)
            assert (await there.wait_for(ended(run.run_id))).content == "one two three"
            assert (await there.wait_for(ended(queued.run_id))).content == "You said: go on"
            before = await answered_again(second, session_id, run.run_id, "one two three")
            # The rest of the first answer lies ready for the one that has slept.
            stale.gate.open()
            await happens(model.request().finished)
            first.resume()
            assert (await here.wait_for(ended(run.run_id))).content == "one two three"
            assert (await here.wait_for(ended(queued.run_id))).content == "You said: go on"
            assert (await turn(here, session_id, "awake?"))[-1].content == "You said: awake?"
        log = await answered_again(first, session_id, run.run_id, "one two three")
        assert log[: len(before)] == before
        assert not [frame for frame in log[len(before) :] if frame.run_id == run.run_id]
        assert "Traceback" not in first.log + second.log
