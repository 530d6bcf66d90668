"""The API for programs at the real server: a whole conversation over HTTP alone, and the same one on the WebSocket."""

from __future__ import annotations

import json

import pytest

from tests.support.conversation import check_log, ended, kinds, only, text_of, whole_log
from tests.support.http_door import HttpDoor
from tests.support.model_replies import text

SERVER = {"files": ("tools.py", "second.py"), "settings": {"GRANTS_SECONDS": 0.1}, "options": ("--language", "en")}
pytestmark = pytest.mark.database


@pytest.fixture
async def door(server):
    async with HttpDoor(server) as client:
        yield client


async def test_a_conversation_with_tools_and_a_confirmation(server, door, tmp_path):
    path = tmp_path / "written"
    session_id = await door.create(title="A note", metadata={"page": "home"})
    call = "call:write " + json.dumps({"path": str(path), "text": "hello"})
    async with door.events(session_id) as stream:
        accepted = await door.say(session_id, call, key="m-1")
        assert accepted == {"message_id": "m-1", "run_id": accepted["run_id"], "position": 0, "duplicate": False}
        asked = (await stream.until("agent.user_confirm"))[-1].frame
        shown = await door.told("GET", f"sessions/{session_id}/")
        assert (shown["run_status"], shown["title"], shown["metadata"]) == ("waiting", "A note", {"page": "home"})
        assert not path.exists(), "never before the yes"
        answer = f"sessions/{session_id}/confirmations/{asked.step_id}"
        assert await door.told("POST", answer, {"confirmed": True}) is None
        told = await stream.until(ended(accepted["run_id"]))
    assert path.read_text() == "hello"
    assert kinds(one.frame for one in told) == [
        "user.response",
        "agent.tool_result",
        "agent.thinking",
        "agent.partial_answer",
        "agent.final_answer",
    ]
    assert all(one.id == one.frame.event_id for one in told)
    log = await door.log(session_id)
    check_log(log)
    assert log == await whole_log(server, session_id), "the same on the WebSocket"
    assert await door.log(session_id, limit=1) == log, "page by page"
    assert await door.log(session_id, after=log[3].seq) == log[4:]
    answer = await door.ask("POST", answer, {"confirmed": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_pending_confirmation")


async def test_what_is_said_on_the_websocket_is_read_over_http_and_the_other_way_round(server, client, door):
    session_id = await client.create_session()
    async with door.events(session_id) as stream:
        await client.say(session_id, "hello")
        first = [one.frame for one in await stream.until(ended())]
        accepted = await door.say(session_id, "hello again")
        await stream.until(ended(accepted["run_id"]))
    seen = await client.until(ended(accepted["run_id"]))
    assert only(seen, "user.message").content == "hello again"
    log = await whole_log(server, session_id)
    stored = [frame for frame in first if frame.seq is not None]
    assert stored == log[: len(stored)] and len(stored) > 3
    assert only(first, "system.notice").metadata["action"] == "replay"
    assert await door.log(session_id) == log


async def test_a_message_that_is_sent_twice_is_one(door, model):
    session_id = await door.create()
    first, again = [await door.say(session_id, "hello", key="once") for _ in range(2)]
    assert (first["duplicate"], again["duplicate"], again["run_id"]) == (False, True, first["run_id"])
    async with door.events(session_id) as stream:
        await stream.until(ended())
    assert len([frame for frame in await door.log(session_id) if frame.event == "user.message"]) == 1
    assert (await door.say(session_id, "without a key"))["duplicate"] is False
    path, body = f"sessions/{session_id}/messages", {"content": "x", "metadata": {"message_id": "other"}}
    answer = await door.ask("POST", path, body, headers={"Idempotency-Key": "once"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_field")


async def test_to_leave_a_stream_cancels_nothing_and_to_cancel_does(server, door, model):
    held = text("what it says in the end", hang=1)
    model.script(held)
    session_id = await door.create()
    async with door.events(session_id) as stream:
        await door.say(session_id, "hello")
        await stream.until("agent.partial_answer")
    assert (await door.told("GET", f"sessions/{session_id}"))["run_status"] == "running"
    held.gate.open()
    async with door.events(session_id) as stream:
        assert (await stream.until(ended()))[-1].frame.content == "what it says in the end"
    model.script(text("never said", hang=0))
    accepted = await door.say(session_id, "hello")
    assert await door.told("POST", f"sessions/{session_id}/cancel") == {"run_ids": [accepted["run_id"]]}
    assert (await door.log(session_id))[-1].event == "agent.interrupted"
    assert await door.told("POST", f"sessions/{session_id}/cancel") == {"run_ids": []}


async def test_sessions_are_listed_changed_closed_and_deleted(server, tokens):
    async with HttpDoor(server, tokens["ann"]) as ann:
        ids = [await ann.create(title=f"number {number}", agent="second") for number in range(3)]
        page = await ann.told("GET", "sessions", params={"limit": 2, "agent": "second"})
        rest = await ann.told("GET", "sessions/", params={"before": page["next"], "families": "true"})
        assert [one["session_id"] for one in page["sessions"] + rest["sessions"]] == ids[::-1]
        assert rest["next"] is None and (await ann.told("GET", "sessions?agent=tools"))["sessions"] == []
        assert len((await ann.told("GET", "sessions?query=number+1"))["sessions"]) == 1
        changed = await ann.told("PATCH", f"sessions/{ids[0]}", {"title": "其他", "metadata": {"a": [1]}})
        assert (changed["title"], changed["metadata"]) == ("其他", {"a": [1]})
        assert (await ann.told("POST", f"sessions/{ids[0]}/close"))["status"] == "closed"
        answer = await ann.ask("POST", f"sessions/{ids[0]}/messages", {"content": "more"})
        assert (answer.status_code, answer.json()["code"]) == (409, "session_closed")
        async with ann.events(ids[0]) as stream:
            await stream.until("system.notice")
            assert await ann.told("DELETE", f"sessions/{ids[0]}/") is None
            last = await stream.until("agent.session_deleted")
            assert (last[-1].id, [one async for one in stream]) == ("", []), "this is an end: nothing comes any more"
        assert (await ann.ask("GET", f"sessions/{ids[0]}/events")).status_code == 404


async def test_forks_feedback_withdrawn_messages_and_exported_states(server, tokens, model):
    async with HttpDoor(server, tokens["ann"]) as ann:
        session_id = await ann.create()
        run_id = (await ann.say(session_id, "hello", key="m-1"))["run_id"]
        async with ann.events(session_id) as stream:
            await stream.until(ended())
        path = f"sessions/{session_id}"
        assert await ann.told("POST", f"{path}/runs/{run_id}/feedback", {"rating": "up", "comment": "good"}) is None
        assert (await ann.log(session_id))[-1].content == {"run_id": run_id, "rating": "up", "comment": "good"}
        state = (await ann.told("GET", f"{path}/state"))["signed_state"]
        here = await ann.told("POST", "sessions/restore", {"signed_state": state})
        assert (here["session_id"], here["message_count"]) == (session_id, 2)
        forked = await ann.told("POST", f"{path}/fork", {"before": "m-1", "content": "hello there"})
        async with ann.events(forked["session_id"]) as stream:
            await stream.until(ended(forked["message"]["run_id"]))
        assert (await ann.told("GET", f"sessions/{forked['session_id']}"))["forked_from"]["message_id"] == "m-1"
        await ann.told("DELETE", path)
        answer = await ann.ask("POST", "sessions/restore/", {"signed_state": state})
        assert answer.status_code == 201 and answer.headers["Location"].startswith("/api/sessions/")
        again = answer.json()["session_id"]
        assert again != session_id and (await ann.log(again))[0].event == "agent.session_created"
        model.script(text("held", hang=0))
        await ann.say(again, "first")
        await ann.say(again, "second", key="m 2")
        assert await ann.told("DELETE", f"sessions/{again}/messages/m%202") is None
        answer = await ann.ask("DELETE", f"sessions/{again}/messages/m%00")
        assert (answer.status_code, answer.json()["code"]) == (404, "message_not_found")
        await ann.told("POST", f"sessions/{again}/cancel")


async def test_what_is_not_ones_own_looks_as_if_it_were_not_there(server, tokens):
    async with HttpDoor(server, tokens["ann"]) as ann, HttpDoor(server, tokens["bob"]) as bob:
        theirs = await ann.create()
        none = "0b6d7b1c-5b5e-4e0c-9c39-6a1f4f6f0a01"
        for session_id in (none, theirs):
            for method, path, body in every_operation(session_id):
                for form in (path, path.replace("?", "/?") if "?" in path else f"{path}/"):
                    answer = await bob.ask(method, form, body)
                    told = (answer.status_code, answer.json())
                    assert told == (404, {"code": "session_not_found", "message": told[1]["message"]}), path
            live = await bob.ask("GET", f"sessions/{session_id}/events", headers={"Accept": "text/event-stream"})
            assert (live.status_code, live.headers["Content-Type"]) == (404, "application/json")
        assert await bob.told("GET", "sessions") == {"sessions": [], "next": None}
        state = await ann.told("GET", f"sessions/{theirs}/state")
        answer = await bob.ask("POST", "sessions/restore", {"signed_state": state["signed_state"]})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_state")
        assert len(await ann.log(theirs)) == 1


def every_operation(session_id):
    """A valid request of each kind that names this session."""
    session = f"sessions/{session_id}"
    return [
        ("GET", session, None),
        ("PATCH", session, {"title": "mine now"}),
        ("DELETE", session, None),
        ("POST", f"{session}/close", None),
        ("POST", f"{session}/fork", {"at": 1}),
        ("GET", f"{session}/events", None),
        ("GET", f"{session}/events?after=1000", None),
        ("POST", f"{session}/messages", {"content": "hello"}),
        ("POST", f"{session}/messages", {"content": " "}),
        ("DELETE", f"{session}/messages/m-1", None),
        ("POST", f"{session}/cancel", None),
        ("POST", f"{session}/confirmations/x", {"confirmed": True}),
        ("POST", f"{session}/runs/x/feedback", {"rating": "up"}),
        ("GET", f"{session}/state", None),
    ]


async def test_the_texts_are_those_of_the_stream_and_in_the_language_that_is_asked_for(door):
    session_id = await door.create()
    await door.say(session_id, "hello")
    async with door.events(session_id) as stream:
        told = [one.frame for one in await stream.until(ended())]
    assert text_of(told) == told[-1].content
    for given, wanted in (("?lang=zh-hans", "不存在"), ("?lang=en", "There"), ("", "There")):
        assert wanted in (await door.ask("GET", f"sessions/nonsense{given}")).json()["message"]
    for given, wanted in (("zh-CN,en;q=0.5", "不存在"), ("fr, *;q=0.5", "There"), ("en-GB, zh", "There")):
        answer = await door.ask("GET", "sessions/nonsense", headers={"Accept-Language": given})
        assert wanted in answer.json()["message"], given


@pytest.mark.parametrize("where", ["/", ""])
async def test_agents_are_listed_with_and_without_a_slash(door, where):
    listed = await door.told("GET", f"agents{where}")
    assert [agent["name"] for agent in listed["agents"]] == ["tools", "second"]
