"""Runs end at their limits with an answer, whatever happens to the process that works on them."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.conftest import connected
from tests.support.conversation import only, turn, whole_log
from tests.support.limited_runs import Restless, outlives_a_kill

SERVER = {"files": ("limited.py",)}
NO_CEILINGS = {"max_steps": None, "max_tokens": None, "max_tool_calls": None, "max_seconds": None}


@pytest.fixture
def server(mortal):
    return mortal


async def ceilings(server, **limits):
    """Set these as an operator, and no others; they hold from the start of the server on."""
    words = f"from agents.models import *; HostedAgent.objects.update(**{NO_CEILINGS | limits!r})"
    await asyncio.to_thread(server.manage, "shell", "-c", words)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


async def killed_at(server, model, path, number):
    """The frames of a run whose server is killed in the model's request with that number."""
    model.default = Restless(path, hangs_at=number)
    session_id, end = await outlives_a_kill(server, model, number)
    return [frame for frame in await whole_log(server, session_id) if frame.run_id == end.run_id]


def facts(frames):
    return frames[-1].content, frames[-1].metadata["finish"], frames[-1].metadata["limit"]


@pytest.mark.parametrize("number", [1, 3, 5, 6])
async def test_a_killed_server_does_not_give_a_run_more_calls(server, model, tmp_path, number):
    await ceilings(server)
    frames = await killed_at(server, model, tmp_path / "seen", number)
    assert facts(frames) == ("That is all.", "limit", {"which": "max_tool_calls", "used": 5, "allowed": 5})
    assert frames[-1].metadata["usage"]["llm_calls"] == 6
    assert len(model.requests) == 6 + 1, "the one in which it was killed was made once more"
    assert (tmp_path / "seen").read_text().split() == list("01234")


async def test_tokens_are_counted_on_after_a_kill_and_the_lower_limit_holds(server, model, tmp_path):
    await ceilings(server, max_tokens=25, max_tool_calls=50)
    frames = await killed_at(server, model, tmp_path / "seen", 2)
    words, finish, limit = facts(frames)
    assert (words, finish, limit["which"], limit["allowed"]) == ("That is all.", "limit", "max_tokens", 25)
    calls = frames[-1].metadata["usage"]["llm_calls"]
    assert 25 <= limit["used"] < 50 and len(model.requests) == calls + 1


async def test_equal_calls_are_counted_on_after_a_kill(server, model, tmp_path):
    await ceilings(server)
    model.default = Restless(tmp_path / "seen", repeats=True, hangs_at=4)
    _session_id, end = await outlives_a_kill(server, model, 4)
    assert facts([end]) == ("That is all.", "limit", {"which": "repeat_limit", "used": 4, "allowed": 3})
    assert (tmp_path / "seen").read_text().split() == ["there"] * 3
    assert "in a row" in str(model.request(4).messages[-1]) and "in a row" in str(model.request(5).messages[-1])


async def test_the_time_of_a_run_is_that_since_it_began(server, model, tmp_path):
    await ceilings(server, max_seconds=1800)
    model.default = Restless(tmp_path / "seen", hangs_at=2)
    earlier = "from datetime import timedelta; from sessions_app.models import *; from django.db.models import F;"
    earlier += "Run.objects.active().update(started_at=F('started_at') - timedelta(hours=1))"
    hours_pass = partial(server.manage, "shell", "-c", earlier)
    _session_id, end = await outlives_a_kill(server, model, 2, meanwhile=hours_pass)
    words, finish, limit = facts([end])
    assert (words, finish, limit["which"], limit["allowed"]) == ("That is all.", "limit", "max_seconds", 1800)
    assert 3600 <= limit["used"] < 5400 and len(model.requests) == 3


async def test_a_run_far_beyond_its_tokens_ends_with_an_error_and_the_session_goes_on(server, model, tmp_path):
    await ceilings(server, max_tokens=1)
    model.script(Restless(tmp_path / "seen"))
    async with connected(server) as client:
        session_id = await client.create_session()
        error = (await turn(client, session_id, "look around"))[-1]
        assert (error.event, error.metadata["code"]) == ("agent.error", "run_limit")
        assert error.metadata["limit"]["which"] == "max_tokens" and error.metadata["limit"]["allowed"] == 1
        assert (await turn(client, session_id, "hi"))[-1].content == "You said: hi"


async def test_a_run_that_is_near_a_limit_says_so_once(server, model, tmp_path):
    await ceilings(server)
    model.default = Restless(tmp_path / "seen")
    async with connected(server) as client:
        session_id = await client.create_session()
        frames = await turn(client, session_id, "look around")
    notice = only((frame for frame in frames if frame.metadata.get("action") == "limit"), "system.notice")
    assert notice.metadata["percent"] == 80 and notice.metadata["run_id"] == frames[-1].run_id
    assert notice.metadata["limit"] == {"which": "max_tool_calls", "used": 4, "allowed": 5}
    assert notice.content == "80 % of what this answer may use are used (tool calls)." and notice.seq is None
    found = await asyncio.to_thread(
        server.manage, "shell", "-c", "from sessions_app.models import *; print(Run.objects.latest('queued_at').limit)"
    )
    assert "max_tool_calls" in found
