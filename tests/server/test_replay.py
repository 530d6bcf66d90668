"""Coming back: with every kind of cursor, in the middle of an answer, and again and again."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.conftest import connected
from tests.support.conversation import PARTIAL, check_log, ended, refusal, text_of, turn, whole_log
from tests.support.model_replies import text


async def a_conversation(client):
    """A session with a few turns; returns its id and every frame but the client's own messages."""
    session_id = await client.create_session()
    frames = await turn(client, session_id, "hello")
    frames += await turn(client, session_id, 'call:add {"a": 1, "b": 2}')
    return session_id, [frame for frame in frames if frame.seq is not None]


CURSORS = {
    "none": lambda session_id, seq: {},
    "last_seq": lambda session_id, seq: {"last_seq": seq},
    "last_seq of JavaScript": lambda session_id, seq: {"last_seq": float(seq)},
    "content.last_seq": lambda session_id, seq: {"content": {"last_seq": seq}},
    "last_event_id": lambda session_id, seq: {"last_event_id": f"{session_id}-{seq}"},
    "content.last_event_id": lambda session_id, seq: {"content": {"last_event_id": f"{session_id}-{seq}"}},
    "null and content": lambda session_id, seq: {"last_seq": None, "content": {"last_seq": seq}},
}


@pytest.mark.parametrize("kind", CURSORS)
@pytest.mark.parametrize("seq", [0, 1, 5])
async def test_cursors(server, client, kind, seq):
    session_id, _frames = await a_conversation(client)
    log = await whole_log(server, session_id)
    event = {"event": "user.reconnect", "session_id": session_id, **CURSORS[kind](session_id, seq)}
    async with connected(server) as other:
        await other.send(event)
        replayed = await other.until("system.notice")
    wanted = log if kind == "none" else log[seq:]
    assert replayed[:-1] == wanted
    assert replayed[-1].metadata == {
        "action": "replay",
        "replayed": len(wanted),
        "last_seq": log[-1].seq,
        "run_status": "idle",
    }


async def test_session_in_content(server, client):
    session_id, _frames = await a_conversation(client)
    async with connected(server) as other:
        reply = await other.request({"event": "user.reconnect", "content": {"session_id": session_id, "last_seq": 3}})
        assert reply.session_id == session_id and reply.metadata["replayed"] == reply.metadata["last_seq"] - 3


async def test_replay_is_what_was_sent(server, client):
    session_id, frames = await a_conversation(client)
    log = await whole_log(server, session_id)
    said = [frame for frame in log if frame.event in ("user.message", "agent.session_created")]
    assert sorted(frames + said, key=lambda frame: frame.seq) == log
    assert await whole_log(server, session_id) == log


async def test_at_the_end_there_is_nothing_to_replay(server, client):
    session_id, frames = await a_conversation(client)
    async with connected(server, cursors=client.cursors) as other:
        replayed = await other.reconnect(session_id)
        assert (replayed.count, replayed.last_seq) == (0, frames[-1].seq)
        await turn(client, session_id, "and live again")
        assert (await other.wait_for("user.message")).content == "and live again"


async def test_a_cursor_beyond_the_log(server, client):
    session_id, frames = await a_conversation(client)
    end = frames[-1].seq
    async with connected(server) as other:
        frame = await refusal(other, {"event": "user.reconnect", "session_id": session_id, "last_seq": end + 1})
        assert (frame.event, frame.code, frame.metadata["last_seq"]) == ("agent.error", "cursor_ahead", end)
        assert frame.session_id == session_id
        assert (await other.reconnect(session_id)).last_seq == end


async def test_a_cursor_of_another_session(client):
    session_id, other_id = await client.create_session(), await client.create_session()
    event = {"event": "user.reconnect", "session_id": session_id, "last_event_id": f"{other_id}-1"}
    assert (await refusal(client, event)).code == "bad_field"


async def test_the_rest_of_an_answer_on_a_new_socket(server, model):
    model.script(answer := text("one two three four five six", hang=3))
    async with connected(server) as client:
        session_id = await client.create_session()
        run = await client.say(session_id, "count")
        before = await client.until(lambda frame: text_of([frame]).endswith("three "))
        cursors = dict(client.cursors)
    async with connected(server, cursors=cursors) as client:
        replayed = await client.reconnect(session_id)
        assert (replayed.count, replayed.run_status) == (0, "running")
        answer.gate.open()
        after = await client.until(ended(run.run_id))
    assert text_of(before + after) == after[-1].content == "one two three four five six"
    assert before[-1].seq < after[0].seq or after[0].seq is None
    await whole_log(server, session_id)


async def test_an_answer_that_came_while_nobody_listened(server, model):
    model.script(answer := text("one two three", hang=1))
    async with connected(server) as client:
        session_id = await client.create_session()
        await client.say(session_id, "count")
        await client.wait_for(PARTIAL)
        cursors = dict(client.cursors)
    answer.gate.open()
    async with connected(server) as watcher:
        await watcher.reconnect(session_id)
        final = await watcher.wait_for(ended())
    async with connected(server, cursors=cursors) as client:
        replayed = await client.reconnect(session_id)
        frames = await client.until(ended())
    assert replayed.last_seq == final.seq and replayed.run_status == "idle"
    assert frames[-1] == final and frames[-1].content == "one two three"


async def test_an_old_session_on_a_new_socket_without_reconnect(server, client):
    session_id, _frames = await a_conversation(client)
    async with connected(server) as other:
        frames = await turn(other, session_id, "I am back")
        assert frames[0].event == "agent.thinking", "attached from here on, nothing of before"
        assert frames[-1].content == "You said: I am back"


async def test_a_cancel_attaches_too(server, client):
    session_id, _frames = await a_conversation(client)
    async with connected(server) as other:
        await other.cancel(session_id)
        assert (await other.wait_for("agent.interrupted")).metadata["reason"] == "idle"
        await turn(client, session_id, "hi")
        assert (await other.wait_for("user.message")).content == "hi"


async def test_replaying_twice_and_backwards_on_one_connection(server, client):
    session_id, _frames = await a_conversation(client)
    log = await whole_log(server, session_id)
    async with connected(server) as other:
        for after in (0, 4, 0):
            other.cursors.clear()  # a client that wants it all again
            await other.send({"event": "user.reconnect", "session_id": session_id, "last_seq": after})
            assert (await other.until("system.notice"))[:-1] == log[after:]


async def test_coming_and_going_while_the_answer_streams(server, model):
    """Five clients leave and return at random places; each must end with the same log, nothing missing or twice."""
    model.script(text(400, delay=0.004))
    dice = random.Random(4)
    async with connected(server) as client:
        session_id = await client.create_session()
        run = await client.say(session_id, "count")
        logs = await asyncio.gather(*(come_and_go(server, session_id, dice.randrange(1, 12)) for _ in range(5)))
        frames = await client.until(ended(run.run_id))
    assert text_of(frames) == frames[-1].content
    full = await whole_log(server, session_id)
    for log in logs:
        assert log == full


async def come_and_go(server, session_id, most):
    """Every logged frame of a client that reads at most so many at a time."""
    dice, cursors, frames = random.Random(most), {}, []
    while True:
        async with connected(server, cursors=cursors) as client:
            await client.send({"event": "user.reconnect", "session_id": session_id, **cursor(cursors, session_id)})
            stay = dice.randrange(1, most + 1)
            while stay > 0:
                frame = await client.wait_for(lambda frame: frame.seq is not None)
                frames.append(frame)
                stay -= 1
                if frame.ends_run:
                    return frames
            # What was read and not handed out is not lost: the next cursor is behind the last frame in `frames`.
            cursors = {session_id: frames[-1].seq}


def cursor(cursors, session_id):
    return {"last_seq": cursors[session_id]} if cursors else {}


async def test_many_reconnects_on_one_socket_while_the_answer_streams(server, model):
    model.script(text(200, delay=0.004))
    async with connected(server) as client, connected(server) as watcher:
        session_id = await client.create_session()
        run = await client.say(session_id, "count")
        frames = []
        while not (frames and frames[-1].ends_run):
            await watcher.send(
                {"event": "user.reconnect", "session_id": session_id, **cursor(watcher.cursors, session_id)}
            )
            new = await watcher.until(lambda frame: frame.metadata.get("action") == "replay" or frame.ends_run)
            frames += [frame for frame in new if frame.event != "system.heartbeat"]
            if not frames[-1].ends_run:
                frames[-1] = await watcher.wait_for(lambda frame: frame.seq is not None)
        assert frames[-1].run_id == run.run_id
    check_log(frames)
    assert frames == await whole_log(server, session_id)


async def test_heartbeat_lists_the_attached_sessions(client):
    first = await client.create_session()
    await turn(client, first, "hi")
    beat = await client.wait_for("system.heartbeat")
    assert beat.seq is None and beat.metadata["server_time"].endswith("Z")
    assert beat.metadata["sessions"] == {first: client.cursors[first]}


async def test_acknowledgements_have_no_reply(client):
    session_id, _frames = await a_conversation(client)
    other_id = await client.create_session()
    await client.ack(session_id)
    for event in (
        {"content": {"last_event_id": f"{session_id}-3"}},
        {"last_event_id": f"{other_id}-1"},
        {"session_id": session_id, "content": 4},
        {"session_id": session_id, "content": {"last_seq": 999999}},
        {"session_id": session_id, "seq": 2},
    ):
        await client.send({"event": "user.ack", **event})
    await client.send({"event": "user.list_sessions"})
    assert [frame.event for frame in await client.until("system.sessions")] == ["system.sessions"]


pytestmark = pytest.mark.database
SERVER = {"settings": {"HEARTBEAT_SECONDS": 2}}
