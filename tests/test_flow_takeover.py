"""A process dies, or freezes and wakes up: another one ends its runs once and goes on with what waits."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import connected
from tests.flow import PARTIAL, ended, happens, turn, whole_log
from tests.model_replies import text
from tests.processes import KINDS, SQLITE, two_servers

LEASE_SECONDS = 2


async def broken_off(server, session_id, run_id):
    """The log, in which that run has one end that says what happened."""
    log = await whole_log(server, session_id)
    (end,) = [frame for frame in log if frame.ends_run and frame.run_id == run_id]
    assert (end.event, end.code) == ("agent.error", "interrupted_by_restart")
    return log


@pytest.mark.parametrize("kind", KINDS)
async def test_killed(kind, model, tmp_path):
    model.reset()
    model.script(text("one two three", hang=1))
    # On one folder the lock of the dead process tells, long before its lease could.
    settings = {"LEASE_SECONDS": 3600 if kind == SQLITE else LEASE_SECONDS}
    with two_servers(kind, tmp_path, model, settings=settings) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "count")
            queued = await there.say(session_id, "go on")
            await there.wait_for(PARTIAL)
            await asyncio.to_thread(first.kill)
            assert (await there.wait_for(ended(run.run_id))).code == "interrupted_by_restart"
            assert (await there.wait_for(ended(queued.run_id))).content == "You said: go on"
        await broken_off(second, session_id, run.run_id)
        await asyncio.to_thread(first.start)
        async with connected(first, cursors=here.cursors) as here:
            await here.reconnect(session_id)
            assert (await here.wait_for(ended(queued.run_id))).content == "You said: go on"
            assert (await turn(here, session_id, "back"))[-1].content == "You said: back"
        await broken_off(first, session_id, run.run_id)
        assert "Traceback" not in second.log


@pytest.mark.parametrize("kind", KINDS)
async def test_frozen_longer_than_its_lease(kind, model, tmp_path):
    model.reset()
    model.script(answer := text("one two three", hang=1))
    with two_servers(kind, tmp_path, model, settings={"LEASE_SECONDS": LEASE_SECONDS}) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "count")
            await there.wait_for(PARTIAL)
            first.pause()
            queued = await there.say(session_id, "go on")
            assert (await there.wait_for(ended(run.run_id))).code == "interrupted_by_restart"
            assert (await there.wait_for(ended(queued.run_id))).content == "You said: go on"
            before = await broken_off(second, session_id, run.run_id)
            # The rest of the answer lies ready for the one that has slept.
            answer.gate.open()
            await happens(model.request().finished)
            first.resume()
            assert (await here.wait_for(ended(run.run_id))).code == "interrupted_by_restart"
            assert (await here.wait_for(ended(queued.run_id))).content == "You said: go on"
            later = await turn(here, session_id, "awake?")
            assert later[-1].content == "You said: awake?"
        log = await broken_off(first, session_id, run.run_id)
        assert log[: len(before)] == before
        assert not [frame for frame in log[len(before) :] if frame.run_id == run.run_id]
        assert "Traceback" not in first.log + second.log
