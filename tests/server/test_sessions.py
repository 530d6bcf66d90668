"""Sessions: made, listed, renamed, closed, deleted; many on one connection, one on many."""

from __future__ import annotations

import uuid

import pytest

from myagent.client import ConnectionLost
from tests.conftest import connected
from tests.support.conversation import ended, happens, only, refusal, turn, whole_log
from tests.support.model_replies import text

pytestmark = pytest.mark.database
SERVER = {"files": ("tools.py", "second.py")}
AT_ONCE = 50


async def listed(client, **content):
    reply = await client.request({"event": "user.list_sessions", "content": content})
    assert reply.event == "system.sessions" and reply.seq is None
    return reply.metadata


async def test_greeting(client):
    assert uuid.UUID(client.connection_id)
    assert client.agents == ("tools", "second")


async def test_create(server, client):
    created = await client.request({"event": "user.create_session", "timestamp": "whenever", "content": "hello"})
    assert created.event == "agent.session_created"
    assert (created.seq, created.event_id) == (1, f"{created.session_id}-1")
    assert created.content == "The session was created."
    assert created.metadata["agent_name"] == "tools"
    assert created.metadata["connection_id"] == client.connection_id
    assert [frame.event for frame in await whole_log(server, created.session_id)] == ["agent.session_created"]


@pytest.mark.parametrize(("path", "agent"), [("", "tools"), ("ws/", "tools"), ("ws/second/", "second")])
async def test_path_names_the_agent(server, model, path, agent):
    async with connected(server, path) as client:
        session_id = await client.create_session()
        await turn(client, session_id, "hi")
        system = model.request().messages[0]["content"]
        assert system == {"tools": "You are the agent of the tests.", "second": "You are the second one."}[agent]


async def test_content_names_the_agent(client):
    created = await client.request({"event": "user.create_session", "content": {"agent": "second"}})
    assert created.metadata["agent_name"] == "second"
    frame = await refusal(client, {"event": "user.create_session", "content": {"agent": "third"}})
    assert (frame.event, frame.code, frame.metadata["request"]) == (
        "agent.error",
        "agent_not_found",
        "user.create_session",
    )


async def test_unknown_paths_are_closed_with_4404(server):
    for path in ("ws/third/", "somewhere"):
        with pytest.raises(ConnectionLost) as raised:
            async with connected(server, path):
                raise AssertionError("must not connect")
        assert raised.value.close_code == 4404


async def test_list_pages_newest_first(client):
    made = [await client.create_session(title=f"paged {number}") for number in range(5)]
    pages, mark = [], None
    while True:
        page = await listed(client, query="paged", limit=2, **({"before": mark} if mark else {}))
        pages.append([row["session_id"] for row in page["sessions"]])
        if (mark := page.get("next")) is None:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sum(pages, []) == made[::-1]


async def test_list_says_what_a_session_is(client):
    session_id = await client.create_session("second", title="only one of its kind")
    (row,) = (await listed(client, query="ONLY one of"))["sessions"]
    assert row["session_id"] == session_id
    assert (row["agent"], row["title"], row["status"]) == ("second", "only one of its kind", "open")
    assert (row["last_seq"], row["run_status"]) == (1, "idle")
    assert row["created_at"] == row["active_at"] and row["created_at"].endswith("Z")


async def test_list_finds_words_of_messages_and_filters_by_agent(client):
    session_id = await client.create_session("second", title="zebra")
    await turn(client, session_id, "the unusual word floccinaucinihilipilification")
    for wanted in ({"query": "floccinaucini"}, {"query": "floccinaucini", "agent": "second"}):
        assert [row["session_id"] for row in (await listed(client, **wanted))["sessions"]] == [session_id]
    assert (await listed(client, query="floccinaucini", agent="tools"))["sessions"] == []
    assert (await listed(client, agent="nobody"))["sessions"] == []


async def test_list_shows_the_run_that_goes_on(client, model):
    model.script(answer := text("slow words", hang=1))
    session_id = await client.create_session(title="busy one")
    await client.say(session_id, "first")
    queued = await client.say(session_id, "second")
    assert (await listed(client, query="busy one"))["sessions"][0]["run_status"] == "running"
    answer.gate.open()
    await client.wait_for(ended(queued.run_id))  # else its request may come to the next test


@pytest.mark.parametrize(
    "mark", ["rubbish", "2020-01-01|x", "|", "2020-01-01T00:00:00|00000000-0000-4000-8000-000000000000"]
)
async def test_list_refuses_a_mark_that_is_none(client, mark):
    frame = await refusal(client, {"event": "user.list_sessions", "content": {"before": mark}})
    assert (frame.event, frame.code) == ("system.error", "bad_field")


async def test_list_refuses_a_mark_before_all_time(client):
    mark = f"0001-01-01T00:00:00+23:59|{uuid.uuid4()}"
    frame = await refusal(client, {"event": "user.list_sessions", "content": {"before": mark}})
    assert frame.code == "bad_field"


async def test_update_is_logged_and_seen_by_all(server, client):
    session_id = await client.create_session(title="before", metadata={"color": "red"})
    async with connected(server) as other:
        await other.reconnect(session_id)
        event = {"event": "user.update_session", "session_id": session_id}
        await client.send({**event, "content": {"title": "after"}})
        mine = await client.wait_for("agent.session_updated")
        theirs = await other.wait_for("agent.session_updated")
        assert mine == theirs and mine.seq == 2
        assert mine.metadata == {"title": "after", "metadata": {"color": "red"}}
        await other.send({**event, "content": {"metadata": {"color": "blue"}}})
        assert (await client.wait_for("agent.session_updated")).metadata == {
            "title": "after",
            "metadata": {"color": "blue"},
        }
    (row,) = (await listed(client, query="after"))["sessions"]
    assert row["session_id"] == session_id


async def test_first_message_is_the_title(client):
    session_id = await client.create_session()
    await turn(client, session_id, "  How   is the\nweather? " + "x" * 100)
    await turn(client, session_id, "something else")
    rows = (await listed(client, query="How is the weather?"))["sessions"]
    assert [(row["session_id"], len(row["title"])) for row in rows] == [(session_id, 60)]


async def test_close_ends_what_runs_and_refuses_more(server, client, model):
    model.script(text("many words that come slowly", hang=2))
    session_id = await client.create_session()
    accepted = await client.say(session_id, "hi")
    await client.wait_for("agent.partial_answer")
    await client.send({"event": "user.close_session", "session_id": session_id})
    interrupted = await client.wait_for("agent.interrupted")
    assert (interrupted.run_id, interrupted.metadata["reason"]) == (accepted.run_id, "session_closed")
    end = await client.wait_for("agent.session_end")
    assert end.seq == interrupted.seq + 1
    await happens(model.request().disconnected)
    frame = await refusal(client, {"event": "user.message", "session_id": session_id, "content": "more"})
    assert (frame.event, frame.code, frame.session_id) == ("agent.error", "session_closed", session_id)
    log = await whole_log(server, session_id)
    assert log[-1] == end
    row = (await listed(client, limit=1))["sessions"][0]
    assert (row["session_id"], row["status"]) == (session_id, "closed")


async def test_delete_tells_every_connection(server, client, model):
    model.script(text("many words that come slowly", hang=2))
    session_id = await client.create_session(title="soon gone")
    await client.say(session_id, "hi")
    await client.wait_for("agent.partial_answer")
    async with connected(server) as other:
        await other.reconnect(session_id)
        await other.send({"event": "user.delete_session", "session_id": session_id})
        for connection in (client, other):
            deleted = await connection.wait_for("agent.session_deleted")
            assert (deleted.session_id, deleted.seq) == (session_id, None)
        await happens(model.request().disconnected)
        for event in ("user.reconnect", "user.cancel", "user.delete_session"):
            assert (await refusal(other, {"event": event, "session_id": session_id})).code == "session_not_found"
    assert (await listed(client, query="soon gone"))["sessions"] == []


async def test_a_session_that_is_being_made_is_not_taken_for_a_deleted_one(client):
    # Between two looks at the database there are many creations; none of them may be told that it was deleted.
    # Not all of them are asked for at once: behind so many requests a slow server comes too late to a ping.
    for number in range(600 + AT_ONCE):
        if number >= AT_ONCE:
            await client.wait_for("agent.session_created")
        if number < 600:
            await client.send({"event": "user.create_session"})
    await client.send({"event": "user.list_sessions", "content": {"limit": 1}})
    frames = await client.until("system.sessions")
    assert [frame for frame in frames if frame.event == "agent.session_deleted"] == []


async def test_several_sessions_on_one_connection(client, model):
    first, second = await client.create_session(), await client.create_session("second")
    model.script(slow := text("slow answer", hang=1))
    slow_run = await client.say(first, "one")
    await client.wait_for("agent.partial_answer")
    frames = await turn(client, second, "two")
    assert only(frames, "agent.final_answer").content == "You said: two"
    slow.gate.open()
    frames += await client.until(lambda frame: frame.ends_run and frame.run_id == slow_run.run_id)
    assert frames[-1].content == "slow answer"
    for session_id in (first, second):
        seqs = [frame.seq for frame in frames if frame.session_id == session_id and frame.seq]
        assert seqs == sorted(set(seqs))


async def test_several_connections_on_one_session_see_the_same(server, client):
    session_id = await client.create_session()
    async with connected(server) as second, connected(server) as third:
        await second.reconnect(session_id)
        await third.reconnect(session_id)
        mine = await turn(client, session_id, "hello everybody")
        run_id = mine[-1].run_id
        theirs = [
            [frame for frame in await other.until(lambda frame: frame.ends_run) if frame.run_id == run_id]
            for other in (second, third)
        ]
        assert theirs[0] == theirs[1]
        assert theirs[0][0].event == "user.message" and theirs[0][0].content == "hello everybody"
        assert theirs[0][1:] == [frame for frame in mine if frame.seq is not None]


async def test_leaving_ends_nothing(server, model):
    model.script(answer := text("an answer for later", hang=2))
    async with connected(server) as client:
        session_id = await client.create_session()
        await client.say(session_id, "hi")
        await client.wait_for("agent.partial_answer")
    answer.gate.open()
    async with connected(server) as client:
        await client.reconnect(session_id)
        assert (await client.wait_for("agent.final_answer")).content == "an answer for later"
