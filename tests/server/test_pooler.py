"""Behind a pooler that gives each transaction another connection: everything works anywhere, as without it."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import connected
from tests.server.test_database_away import end_backends
from tests.support.conversation import PARTIAL, ended, happens, only, text_of, turn, whole_log
from tests.support.model_replies import text, tools
from tests.support.pgbouncer import PgBouncer
from tests.support.two_servers import NEVER, POSTGRES, lapse, two_servers

pytestmark = pytest.mark.slow

SETTINGS = {
    "MAX_RUNS": 1,
    "LEASE_SECONDS": NEVER,
    "LIMIT_LOCAL": True,  # shares and budgets are counted under locks
    "USER_TOKENS_PER_DAY": 10_000_000,
    "USER_MAX_RUNS": 50,
}


@pytest.fixture
def servers(postgres_url, model, tmp_path):
    model.reset()
    with PgBouncer(postgres_url) as bouncer:
        both = {"DATABASE_URL": bouncer.url}
        with two_servers(POSTGRES, tmp_path, model, settings=SETTINGS, environments=(both, both)) as pair:
            yield pair


async def test_a_run_that_no_client_is_attached_to_where_it_runs(servers, model, tmp_path, postgres_url):
    """The process of the client is full, so that the other one runs what it says."""
    first, second = servers
    path = tmp_path / "written"
    model.script(held := text("one two", hang=1), tools(("write", {"path": str(path), "text": "x"})))
    async with connected(first) as client, connected(first) as tab:
        busy, session_id = await client.create_session(), await client.create_session()
        kept = await client.say(busy, "hold")
        await client.wait_for(PARTIAL)
        # Confirmed where it does not run, and seen by a second tab.
        await tab.reconnect(session_id)
        run = await client.say(session_id, "write")
        question = await tab.wait_for("agent.user_confirm")
        assert await client.wait_for("agent.user_confirm") == question
        await tab.respond(session_id, question.step_id, True)
        assert (await client.wait_for("agent.tool_result")).metadata["status"] == "success"
        await client.wait_for(ended(run.run_id))
        assert path.read_text() == "x"
        # Cancelled where it does not run.
        model.script(text("one two three", hang=1))
        cancelled = await client.say(session_id, "count")
        await client.wait_for(lambda frame: frame.event == PARTIAL and frame.run_id == cancelled.run_id)
        await tab.cancel(session_id)
        assert (await client.wait_for(ended(cancelled.run_id))).event == "agent.interrupted"
        await happens(model.requests[-1].disconnected)
        # PostgreSQL restarts in the middle.
        model.script(answer := text("one two three", hang=1))
        paused = await client.say(session_id, "count")
        await client.wait_for(lambda frame: frame.event == PARTIAL and frame.run_id == paused.run_id)
        await asyncio.to_thread(end_backends, postgres_url)
        answer.gate.open()
        assert (await client.wait_for(ended(paused.run_id))).content == "one two three"
        # The process that runs it dies.
        model.script(text("one two three", hang=1), text("one two three"))
        moved = await client.say(session_id, "count")
        await client.wait_for(lambda frame: frame.event == PARTIAL and frame.run_id == moved.run_id)
        await asyncio.to_thread(second.kill)
        held.gate.open()
        await client.wait_for(ended(kept.run_id))
        await asyncio.to_thread(lapse, first)
        assert (await client.wait_for(ended(moved.run_id))).content == "one two three"
        await asyncio.to_thread(second.start)
    log = await whole_log(second, session_id)
    assert log == await whole_log(first, session_id)
    assert only(log, "agent.step_reset").metadata["reason"] == "restart"
    assert text_of([frame for frame in log if frame.run_id == moved.run_id]) == "one two three"


async def test_many_at_once(servers, model):
    """More transactions than the pooler has connections, and an export and an end of logins beside them."""
    async with connected(servers[0]) as here, connected(servers[1]) as there:
        sessions = [await client.create_session() for client in (here, there) * 10]
        runs = [
            await (here, there)[number % 2].say(session_id, 'call:add {"a": 1, "b": 2}')
            for number, session_id in enumerate(sessions)
        ]
        for number, run in enumerate(runs):
            end = await (here, there)[number % 2].wait_for(ended(run.run_id))
            assert end.event == "agent.final_answer"
        assert (await turn(there, sessions[0], "again"))[-1].content == "You said: again"
    exported = await asyncio.to_thread(servers[0].manage, "exportuser", "local")
    assert exported.count('"session"') >= len(sessions)
    assert "Traceback" not in servers[0].log + servers[1].log
