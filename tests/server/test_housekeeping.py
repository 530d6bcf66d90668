"""Housekeeping beside running servers: what clients see of it, and what they do not."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.conftest import connected
from tests.support import forked
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, check_log, ended, kinds, refusal, text_of, turn, whole_log
from tests.support.model_replies import text
from tests.support.paths import ROOT
from tests.support.patience import WAIT_SECONDS
from tests.support.two_servers import KINDS, two_servers

pytestmark = pytest.mark.slow

COMMAND_SECONDS = 60
AGE = """
import sys
from datetime import timedelta
from sessions_app.models import Run, Session
from tests.support.patience import WAIT_SECONDS
days = timedelta(days=float(sys.argv[-1]))
for run in Run.objects.exclude(finished_at=None):
    Run.objects.filter(pk=run.pk).update(finished_at=run.finished_at - days)
for session in Session.objects.filter(pk__in=IDS):
    Session.objects.filter(pk=session.pk).update(active_at=session.active_at - days)
"""


def manage(server, *words, stdin=None):
    """Run a command beside the server, on its data; returns what it said."""
    command = [sys.executable, str(ROOT / "manage.py"), *words]
    done = forked.run(
        command,
        cwd=server.folder,
        env=server._environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def grow_old(server, *session_ids, days=40):
    """Let these sessions, and all runs, have been active so much earlier."""
    script = AGE.replace("IDS", repr(session_ids)).replace("sys.argv[-1]", str(days))
    manage(server, "shell", stdin=script)


async def beside(function, *args, **options):
    """Call something that runs a command, while clients go on."""
    return await asyncio.to_thread(function, *args, **options)


async def test_replay_after_compaction(server, client, model):
    """From every cursor, those between removed pieces included: nothing is missing but the pieces, and no gap lies."""
    session_id = await client.create_session()
    model.script(text("one two three four five", delay=0.1))
    first = await turn(client, session_id, "count")
    second = await turn(client, session_id, 'call:add {"a": 1, "b": 2}')
    before = await whole_log(server, session_id)
    assert kinds(before).count(PARTIAL) == 2 and len([frame for frame in before if frame.event == PARTIAL]) > 4
    await beside(grow_old, server)
    said = await beside(manage, server, "compactevents")
    kept = [frame for frame in before if frame.event != PARTIAL]
    assert f"Pieces removed: {len(before) - len(kept)}, of answers: 2" in said
    assert await whole_log(server, session_id) == kept
    finals = [frame for frame in kept if frame.ends_run]
    assert [frame.content for frame in finals] == [text_of(first), text_of(second)]
    for cursor in range(before[-1].seq + 1):
        async with connected(server, cursors={session_id: cursor}) as other:
            replayed = await other.reconnect(session_id)
            wanted = [frame for frame in kept if frame.seq > cursor]
            assert (replayed.count, replayed.last_seq) == (len(wanted), before[-1].seq)
            assert [await other.wait_for(lambda frame: frame.seq is not None) for _ in wanted] == wanted
    ahead = {"event": "user.reconnect", "session_id": session_id, "last_seq": before[-1].seq + 1}
    assert (await refusal(client, ahead)).code == "cursor_ahead"
    assert "Pieces removed: 0," in await beside(manage, server, "compactevents")


async def test_what_is_live_goes_on_through_compaction(server, client, model):
    """A client whose cursor stands in the middle of removed pieces, and one that was there all the time."""
    session_id = await client.create_session()
    model.script(text("one two three four", delay=0.1), answer := text("five six seven", hang=2))
    async with connected(server) as reader:
        await reader.reconnect(session_id)
        await client.say(session_id, "count")
        await reader.wait_for(PARTIAL)
        middle = dict(reader.cursors)
    frames = await client.until(ended())
    run = await client.say(session_id, "go on")
    await client.wait_for(PARTIAL)
    await beside(grow_old, server)
    await beside(manage, server, "compactevents")
    async with connected(server, cursors=middle) as reader:
        replayed = await reader.reconnect(session_id)
        assert replayed.run_status == "running"
        answer.gate.open()
        after = await reader.until(ended(run.run_id))
        await client.wait_for(ended(run.run_id))
    assert [frame for frame in after if frame.ends_run][0] == frames[-1]
    assert text_of([frame for frame in after if frame.run_id == run.run_id]) == after[-1].content == "five six seven"
    check_log([frame for frame in after if frame.seq is not None])


async def test_an_interrupted_answer_keeps_its_pieces(server, client, model):
    session_id = await client.create_session()
    model.script(text("one two three", hang=2))
    await client.say(session_id, "count")
    await client.wait_for(PARTIAL)
    await client.cancel(session_id)
    await client.wait_for("agent.interrupted")
    before = await whole_log(server, session_id)
    await beside(grow_old, server)
    await beside(manage, server, "compactevents")
    assert await whole_log(server, session_id) == before
    assert (await turn(client, session_id, "hi"))[-1].content == "You said: hi"


async def test_pruning_beside_a_running_server(server, client, model):
    """Attached clients are told, what is in use is left, and what is gone does not come back."""
    old, busy, young = [await client.create_session() for _ in range(3)]
    for session_id in (old, young):
        await turn(client, session_id, "hi")
    model.script(answer := text("one two", hang=1))
    run = await client.say(busy, "count")
    await client.wait_for(PARTIAL)
    await beside(grow_old, server, old, busy)
    assert "would be deleted: 1\n" in await beside(manage, server, "prunesessions", "--older-than", "30d", "--dry-run")
    async with connected(server) as watcher:
        await watcher.reconnect(old)
        assert "Conversations deleted: 1\n" in await beside(manage, server, "prunesessions", "--older-than", "30d")
        for connection in (client, watcher):
            assert (await connection.wait_for("agent.session_deleted")).session_id == old
        assert (await refusal(watcher, {"event": "user.reconnect", "session_id": old})).code == "session_not_found"
    say = {"event": "user.message", "session_id": old, "content": "still there?"}
    assert (await refusal(client, say)).code == "session_not_found"
    answer.gate.open()
    assert (await client.wait_for(ended(run.run_id))).content == "one two"
    assert (await turn(client, young, "hi"))[-1].content == "You said: hi"
    listed = await client.request({"event": "user.list_sessions", "content": {"limit": 100}})
    assert old not in {item["session_id"] for item in listed.metadata["sessions"]}
    assert "Traceback" not in server.log


async def compacted(server, session_id):
    """Wait until the log of a session holds no pieces any more; returns it."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            log = await whole_log(server, session_id)
            if PARTIAL not in kinds(log):
                return log
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("kind", KINDS)
async def test_servers_compact_by_themselves(kind, model, tmp_path):
    """Two at once: neither waits for the other, and both go on answering."""
    model.reset()
    with two_servers(kind, tmp_path, model, settings={"COMPACT_SECONDS": 1}) as (first, second):
        async with connected(first) as here, connected(second) as there:
            sessions = [await here.create_session() for _ in range(8)]
            answers = [(await turn(here, session_id, "tokens:30"))[-1] for session_id in sessions]
            for session_id, answer in zip(sessions, answers, strict=True):
                await there.reconnect(session_id)
                log = await compacted(second, session_id)
                assert log[-1] == answer
                assert kinds(log) == ["agent.session_created", "user.message", "agent.thinking", "agent.final_answer"]
            assert (await turn(there, sessions[0], "hi"))[-1].content == "You said: hi"
            await here.wait_for(lambda frame: frame.ends_run and frame.content == "You said: hi")
        for server in (first, second):
            assert "Traceback" not in server.log and "failed; retrying" not in server.log


async def test_a_server_closes_idle_sessions(model, tmp_path):
    model.reset()
    settings = {"COMPACT_SECONDS": 1, "IDLE_CLOSE_DAYS": 30}
    with AgentServer(tmp_path, "tools.py", model=model, settings=settings) as server:
        async with connected(server) as client:
            idle, young = await client.create_session(), await client.create_session()
        server.terminate()
        server.wait_exit()
        grow_old(server, idle)
        server.start()
        async with connected(server) as client:
            await client.reconnect(idle)
            assert (await client.wait_for("agent.session_end")).session_id == idle
            say = {"event": "user.message", "session_id": idle, "content": "hi"}
            assert (await refusal(client, say)).code == "session_closed"
            assert (await turn(client, young, "hi"))[-1].content == "You said: hi"
