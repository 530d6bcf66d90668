"""Two processes serve the same conversations: whichever a client lands on, it sees and can do the same."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import connected
from tests.support.conversation import PARTIAL, ended, happens, kinds, refusal, text_of, turn, whole_log
from tests.support.model_replies import text, tools
from tests.support.two_servers import KINDS, two_servers


@pytest.fixture(scope="module", params=KINDS)
def running_pair(request, model, tmp_path_factory):
    with two_servers(request.param, tmp_path_factory.mktemp("processes"), model) as pair:
        yield pair


@pytest.fixture
def pair(running_pair, model):
    model.reset()
    for server in running_pair:
        server.forget_log()
    yield running_pair
    for server in running_pair:
        assert "Traceback" not in server.log, server.log


@pytest.fixture
async def here(pair):
    """A client of the first process."""
    async with connected(pair[0]) as client:
        yield strict(client)


@pytest.fixture
async def there(pair):
    """A client of the second process, of the same user."""
    async with connected(pair[1]) as client:
        yield strict(client)


def strict(client):
    """The client by itself drops what comes twice; here that is a failure."""
    transport = client._transport
    take = transport._take

    def take_once(frame):
        if frame.seq is not None:
            assert frame.seq > client.cursors.get(frame.session_id, 0), f"{frame} came twice, or too late"
        take(frame)

    transport._take = take_once
    return client


def logged(frames, session_id):
    return [frame for frame in frames if frame.session_id == session_id and frame.seq is not None]


async def shared_session(here, there):
    """A session that both clients are attached to."""
    session_id = await here.create_session()
    await there.reconnect(session_id)
    await there.wait_for("agent.session_created")
    return session_id


async def test_the_other_process_shows_a_run_live(pair, here, there, model):
    model.script(tools(("add", {"a": 1, "b": 2})), answer := text("one two three four", hang=2))
    session_id = await shared_session(here, there)
    run = await here.say(session_id, "count")
    shown = await there.until(lambda frame: frame.event == PARTIAL and frame.content.endswith("two "))
    answer.gate.open()
    shown += await there.until(ended(run.run_id))
    own = await here.until(ended(run.run_id))
    log = await whole_log(pair[1], session_id)
    assert logged(shown, session_id) == log[1:], "everything but the creation, which was read before"
    assert logged(own, session_id) == log[2:], "the same without the own message"
    assert kinds(log)[-2:] == [PARTIAL, "agent.final_answer"] and log[-1].content == "one two three four"
    assert await whole_log(pair[0], session_id) == log


async def test_cancelled_from_the_other_process(pair, here, there, model):
    model.script(text("one two three", hang=1))
    session_id = await shared_session(here, there)
    run = await here.say(session_id, "count")
    await there.wait_for(PARTIAL)
    await there.cancel(session_id)
    end = await there.wait_for(ended(run.run_id))
    assert (end.event, end.metadata["reason"]) == ("agent.interrupted", "user")
    assert await here.wait_for(ended(run.run_id)) == end
    await happens(model.request().disconnected)
    for client in (here, there):
        assert (await turn(client, session_id, "and now?"))[-1].content == "You said: and now?"
    log = await whole_log(pair[0], session_id)
    assert [frame.event for frame in log if frame.run_id == run.run_id and frame.ends_run] == ["agent.interrupted"]


@pytest.mark.parametrize("confirmed", [True, False])
async def test_answered_on_the_other_process(pair, here, there, model, tmp_path, confirmed):
    path = tmp_path / "written"
    model.script(tools(("write", {"path": str(path), "text": "x"})))
    session_id = await shared_session(here, there)
    run = await here.say(session_id, "write")
    question = await there.wait_for("agent.user_confirm")
    await there.respond(session_id, question.step_id, confirmed)
    result = await here.wait_for("agent.tool_result")
    assert result.metadata["status"] == ("success" if confirmed else "declined")
    assert (await here.wait_for("user.response")).step_id == question.step_id
    assert (await there.wait_for(ended(run.run_id))).event == "agent.final_answer"
    assert path.exists() == confirmed
    # Answered is answered, wherever somebody asks.
    await here.respond(session_id, question.step_id, True)
    assert (await here.wait_for("agent.error")).code == "no_pending_confirmation"
    await whole_log(pair[1], session_id)


async def test_messages_from_both_are_answered_in_order(pair, here, there, model):
    model.script(first := text("first", hang=0))
    session_id = await shared_session(here, there)
    runs = [await here.say(session_id, "one")]
    for number, client in enumerate((there, here, there, here), 1):
        runs.append(await client.say(session_id, f"number {number}"))
        assert runs[-1].position == number
    first.gate.open()
    for client in (here, there):
        ends = [await client.wait_for(ended()) for _ in runs]
        assert [frame.run_id for frame in ends] == [run.run_id for run in runs]
        assert [frame.content for frame in ends] == ["first", *(f"You said: number {number}" for number in range(1, 5))]
    log = await whole_log(pair[1], session_id)
    said = [message["content"] for message in model.requests[-1].messages if message["role"] == "user"]
    assert said == ["one", *(f"number {number}" for number in range(1, 5))]
    assert sum(frame.ends_run for frame in log) == len(runs)


async def test_the_same_message_twice_is_one(pair, here, there, model):
    model.script(answer := text("once", hang=0))
    session_id = await shared_session(here, there)
    said, again = await asyncio.gather(here.say(session_id, "hi", "m1"), there.say(session_id, "hi", "m1"))
    assert said.run_id == again.run_id and {said.duplicate, again.duplicate} == {True, False}
    answer.gate.open()
    for client in (here, there):
        await client.wait_for(ended(said.run_id))
    assert len(model.requests) == 1


async def test_a_client_moves_to_the_other_process_in_the_middle_of_an_answer(pair, model):
    model.script(answer := text("one two three four", hang=2))
    async with connected(pair[0]) as client:
        session_id = await strict(client).create_session()
        run = await client.say(session_id, "count")
        frames = await client.until(lambda frame: frame.event == PARTIAL and frame.content.endswith("two "))
        cursors = dict(client.cursors)
    async with connected(pair[1], cursors=cursors) as client:
        replayed = await strict(client).reconnect(session_id)
        assert (replayed.count, replayed.run_status) == (0, "running")
        answer.gate.open()
        frames += await client.until(ended(run.run_id))
    log = await whole_log(pair[1], session_id)
    assert logged(frames, session_id) == log[2:]
    assert text_of(frames) == log[-1].content == "one two three four"


async def test_deleted_on_the_other_process(pair, here, there, model):
    model.script(text("one two three", hang=1))
    session_id = await shared_session(here, there)
    await here.say(session_id, "count")
    await there.wait_for(PARTIAL)
    reply = await there.request({"event": "user.delete_session", "session_id": session_id})
    assert reply.event == "agent.session_deleted"
    assert (await here.wait_for("agent.session_deleted")).session_id == session_id
    await happens(model.request().disconnected)
    for client in (here, there):
        gone = await refusal(client, {"event": "user.reconnect", "session_id": session_id})
        assert gone.code == "session_not_found"


async def test_closed_and_renamed_on_the_other_process(pair, here, there, model):
    model.script(text("one two three", hang=1))
    session_id = await shared_session(here, there)
    run = await here.say(session_id, "count")
    await there.wait_for(PARTIAL)
    await there.send({"event": "user.update_session", "session_id": session_id, "content": {"title": "Numbers"}})
    assert (await here.wait_for("agent.session_updated")).metadata["title"] == "Numbers"
    await there.send({"event": "user.close_session", "session_id": session_id})
    assert (await here.wait_for(ended(run.run_id))).event == "agent.interrupted"
    assert (await here.wait_for("agent.session_end")).session_id == session_id
    await happens(model.request().disconnected)
    said = {"event": "user.message", "session_id": session_id, "content": "hi"}
    assert (await refusal(here, said)).code == "session_closed"
    (listed,) = [
        item
        for item in (await here.request({"event": "user.list_sessions"})).metadata["sessions"]
        if item["session_id"] == session_id
    ]
    assert (listed["title"], listed["status"]) == ("Numbers", "closed")


async def test_many_sessions_cross_over(pair, here, there):
    sessions = [await shared_session(*clients) for clients in [(here, there), (there, here)] * 5]
    for number, session_id in enumerate(sessions * 2):
        await (here, there)[number % 2].say(session_id, 'call:add {"a": 1, "b": 2}' if number % 3 else "tokens:40")
    watched = {}
    for client in (here, there):
        frames = []
        while sum(frame.ends_run for frame in frames) < 2 * len(sessions):
            frames += await client.until(ended())
        watched[client] = frames
    for session_id in sessions:
        log = await whole_log(pair[0], session_id)
        for frames in watched.values():
            seen = logged(frames, session_id)
            assert [frame for frame in log[1:] if frame in seen or frame.event != "user.message"] == seen
