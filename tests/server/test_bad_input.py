"""Whatever comes in: one refusal with a code, nothing changed, and the connection lives on."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from myagent.client import ConnectionLost, FrameTooLarge, stay_connected
from tests.conftest import connected
from tests.support.conversation import refusal, turn, whole_log

NOBODY = "00000000-0000-4000-8000-000000000000"
FRAMES = [
    ("", "bad_json"),
    ("{", "bad_json"),
    ("hello", "bad_json"),
    ('{"event": NaN}', "bad_json"),
    ('{"event": "user.message", "content": "\\ud800"}', "bad_json"),
    ("[" * 100_000, "bad_json"),
    ("[]", "bad_frame"),
    ("3", "bad_frame"),
    ("null", "bad_frame"),
    ('"user.cancel"', "bad_frame"),
    (b'{"event": "user.list_sessions"}', "bad_frame"),
    (b"\x00\xff", "bad_frame"),
    (b"", "bad_frame"),
    ("{}", "missing_field"),
    ('{"event": null}', "missing_field"),
    ('{"event": 5}', "unknown_event"),
    ('{"event": ["user.cancel"]}', "unknown_event"),
    ('{"event": "user.dance"}', "unknown_event"),
    ('{"event": "agent.final_answer"}', "unknown_event"),
    ('{"event": ""}', "unknown_event"),
]


@pytest.mark.parametrize(("frame", "code"), FRAMES, ids=lambda value: repr(value[:40]))
async def test_no_requests_at_all(client, frame, code):
    await client._transport.socket.send(frame)
    answer = await client.wait_for(lambda frame: True)
    assert (answer.event, answer.code, answer.seq) == ("system.error", code, None)
    assert answer.content and "request" not in answer.metadata
    assert await client.create_session(), "the connection lives on"


HERE = object()
"""Stands for the id of a session that exists."""

REQUESTS = [
    ("user.message", {}, "missing_field"),
    ("user.message", {"content": "hi"}, "missing_field"),
    ("user.message", {"session_id": HERE}, "missing_field"),
    ("user.message", {"session_id": None, "content": "hi"}, "bad_field"),
    ("user.message", {"session_id": 5, "content": "hi"}, "bad_field"),
    ("user.message", {"session_id": HERE, "content": None}, "bad_field"),
    ("user.message", {"session_id": HERE, "content": 5}, "bad_field"),
    ("user.message", {"session_id": HERE, "content": {"words": "hi"}}, "bad_field"),
    ("user.message", {"session_id": HERE, "content": ["hi"]}, "bad_field"),
    ("user.message", {"session_id": HERE, "content": [{"type": "audio", "audio": "x"}]}, "bad_field"),
    ("user.message", {"session_id": HERE, "content": "hi", "metadata": {"message_id": 5}}, "bad_field"),
    ("user.message", {"session_id": HERE, "content": "hi", "metadata": {"message_id": "x" * 201}}, "bad_field"),
    ("user.message", {"session_id": HERE, "content": " "}, "empty_message"),
    ("user.message", {"session_id": NOBODY, "content": "hi"}, "session_not_found"),
    ("user.message", {"session_id": "no uuid", "content": "hi"}, "session_not_found"),
    ("user.create_session", {"content": {"agent": 5}}, "bad_field"),
    ("user.create_session", {"content": {"title": "x" * 201}}, "bad_field"),
    ("user.create_session", {"content": {"metadata": []}}, "bad_field"),
    ("user.create_session", {"content": {"agent": "nobody"}}, "agent_not_found"),
    ("user.response", {"session_id": HERE, "content": True}, "missing_field"),
    ("user.response", {"session_id": HERE, "step_id": "x", "content": "maybe"}, "bad_field"),
    ("user.response", {"session_id": HERE, "step_id": "x", "content": True}, "no_pending_confirmation"),
    ("user.response", {"session_id": NOBODY, "step_id": "x", "content": True}, "session_not_found"),
    ("user.cancel", {}, "missing_field"),
    ("user.cancel", {"session_id": NOBODY}, "session_not_found"),
    ("user.reconnect", {}, "missing_field"),
    ("user.reconnect", {"session_id": NOBODY}, "session_not_found"),
    ("user.reconnect", {"session_id": HERE, "last_seq": -1}, "bad_field"),
    ("user.reconnect", {"session_id": HERE, "last_seq": 1.5}, "bad_field"),
    ("user.reconnect", {"session_id": HERE, "last_seq": "1"}, "bad_field"),
    ("user.reconnect", {"session_id": HERE, "last_seq": 2**63}, "bad_field"),
    ("user.reconnect", {"session_id": HERE, "last_event_id": "rubbish"}, "bad_field"),
    ("user.reconnect", {"session_id": HERE, "last_event_id": f"{NOBODY}-1"}, "bad_field"),
    ("user.reconnect", {"session_id": HERE, "last_seq": 999}, "cursor_ahead"),
    ("user.close_session", {}, "missing_field"),
    ("user.close_session", {"session_id": NOBODY}, "session_not_found"),
    ("user.list_sessions", {"content": {"limit": 0}}, "bad_field"),
    ("user.list_sessions", {"content": {"limit": 101}}, "bad_field"),
    ("user.list_sessions", {"content": {"limit": "5"}}, "bad_field"),
    ("user.list_sessions", {"content": {"before": "rubbish"}}, "bad_field"),
    ("user.update_session", {"session_id": HERE}, "missing_field"),
    ("user.update_session", {"session_id": HERE, "content": {}}, "missing_field"),
    ("user.update_session", {"session_id": HERE, "content": {"title": 5}}, "bad_field"),
    ("user.update_session", {"session_id": HERE, "content": {"metadata": "x"}}, "bad_field"),
    ("user.update_session", {"session_id": NOBODY, "content": {"title": "x"}}, "session_not_found"),
    ("user.delete_session", {"session_id": NOBODY}, "session_not_found"),
    ("user.request_state", {}, "missing_field"),
    ("user.request_state", {"session_id": NOBODY}, "session_not_found"),
    ("user.reconnect_with_state", {}, "missing_field"),
    ("user.reconnect_with_state", {"session_id": HERE, "content": {"last_seq": 1}}, "missing_field"),
    ("user.reconnect_with_state", {"signed_state": None}, "invalid_state"),
    ("user.reconnect_with_state", {"signed_state": "text"}, "invalid_state"),
    ("user.reconnect_with_state", {"content": {"signed_state": {"state": {}}}}, "invalid_state"),
    ("user.cancel", {"session_id": HERE, "metadata": "x"}, "bad_field"),
    *((name, {"session_id": HERE, "content": {}}, "not_supported") for name in (
        "user.solve_tasks", "user.cancel_task", "user.restart_task", "user.cancel_plan", "user.replan",
    )),
]  # fmt: skip
NOT_OURS = {"bad_json", "bad_frame", "unknown_event", "missing_field", "bad_field", "invalid_state"}


@pytest.mark.parametrize(("name", "fields", "code"), REQUESTS)
async def test_requests_that_cannot_be(server, client, name, fields, code):
    session_id = await client.create_session()
    before = await whole_log(server, session_id)
    event = {"event": name, **fields}
    if event.get("session_id") is HERE:
        event["session_id"] = session_id
    if isinstance(event.get("metadata", {}), dict):
        frame = await refusal(client, event)  # by its request_id, which comes back
    else:
        await client.send(event)
        frame = await client.wait_for(lambda frame: True)
    assert (frame.code, frame.metadata["request"]) == (code, name)
    assert frame.event == ("system.error" if code in NOT_OURS else "agent.error")
    assert frame.content and "Traceback" not in frame.content
    assert await whole_log(server, session_id) == before
    assert "ERROR" not in server.log


async def test_unknown_keys_are_ignored(client):
    reply = await client.request({"event": "user.list_sessions", "timestamp": 5, "new": {"x": 1}, "content": None})
    assert reply.event == "system.sessions"


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"last_seq": 1}, {"content": 5}, {"content": "rubbish"}, {"content": {"last_event_id": "rubbish"}},
        {"last_event_id": 5}, {"metadata": {"last_seq": 5}}, {"metadata": "x"}, {"metadata": {"request_id": "r"}},
        {"session_id": 5, "last_seq": 1}, {"session_id": "no uuid", "last_seq": 1},
        {"session_id": NOBODY, "last_seq": 1}, {"last_event_id": f"{NOBODY}-1"},
        {"session_id": HERE, "last_seq": -1}, {"session_id": HERE, "last_seq": "1"}, {"session_id": HERE, "seq": 2**63},
        {"session_id": HERE, "last_seq": 999}, {"session_id": HERE, "last_event_id": f"{NOBODY}-1"},
    ],
)  # fmt: skip
async def test_an_acknowledgement_that_cannot_be_used_has_no_reply(server, client, fields):
    session_id = await client.create_session()
    named = {"session_id": session_id} if fields.get("session_id") is HERE else {}
    await client.send({"event": "user.ack", **fields, **named})
    await client.send({"event": "user.list_sessions"})
    assert [frame.event for frame in await client.until("system.sessions")] == ["system.sessions"]
    assert "ERROR" not in server.log


async def test_an_acknowledgement_of_a_foreign_session_attaches_nobody(server, client):
    session_id = await client.create_session()
    token = await asyncio.to_thread(make_token, server, "acknowledger")
    async with connected(server, token=token) as stranger:
        await stranger.send({"event": "user.ack", "session_id": session_id, "last_seq": 1})
        await stranger.request({"event": "user.list_sessions"})
        await turn(client, session_id, "hi")
        await stranger.request({"event": "user.list_sessions"})
        assert not [frame for frame in stranger.unread if frame.session_id == session_id]


async def test_foreign_and_unknown_sessions_look_the_same(server, client):
    session_id = await client.create_session()
    token = await asyncio.to_thread(make_token, server, "stranger")
    async with connected(server, token=token) as stranger:
        answers = []
        for target in (session_id, NOBODY):
            for event in (
                {"event": "user.message", "content": "hi"},
                {"event": "user.reconnect"},
                {"event": "user.cancel"},
                {"event": "user.delete_session"},
                {"event": "user.update_session", "content": {"title": "mine"}},
            ):
                frame = await refusal(stranger, {**event, "session_id": target})
                metadata = {key: value for key, value in frame.metadata.items() if key != "request_id"}
                answers.append((frame.event, frame.content, frame.session_id == target, metadata))
        assert answers[:5] == answers[5:]
        assert {answer[3]["code"] for answer in answers} == {"session_not_found"}
        await turn(client, session_id, "hi")
        own = await stranger.create_session()
        assert (await turn(stranger, own, "hello"))[-1].content == "You said: hello"
        assert not [frame for frame in stranger.unread if frame.session_id == session_id], "never attached"
        mine = await stranger.request({"event": "user.list_sessions"})
        assert [row["session_id"] for row in mine.metadata["sessions"]] == [own]


def make_token(server, user):
    """A token of another user, made as an operator makes it."""
    return server.manage("createtoken", user, "--create-user").strip()


async def test_a_frame_of_four_megabytes_is_taken_and_a_larger_one_closes(server, client, model):
    session_id = await client.create_session()
    event = {"event": "user.message", "session_id": session_id, "content": ""}
    event["content"] = "x" * (4 * 2**20 - len(orjson.dumps(event)))
    await client.send(event)
    assert (await client.wait_for("system.notice")).metadata["action"] == "accepted"
    await client.cancel(session_id)
    await client.wait_for("agent.interrupted")
    await client.send({**event, "content": event["content"] + "xx"})
    with pytest.raises(ConnectionLost) as raised:
        await client.until("never")
    assert raised.value.close_code == 1009
    async with connected(server) as other:
        assert await other.create_session()


async def test_a_client_is_told_how_large_a_frame_may_be(server):
    async with connected(server) as plain, stay_connected(server.url) as steady:
        assert plain.max_frame_bytes == 4 * 2**20
        session_id = await steady.create_session()
        with pytest.raises(FrameTooLarge):
            await steady.say(session_id, "x" * 4 * 2**20)
        await steady.say(session_id, "short")


@pytest.mark.parametrize("depth", [100, 400, 900])
async def test_deep_json_breaks_nothing(server, client, depth):
    deep = '{"x":' * depth + "1" + "}" * depth
    for event, content in (("user.create_session", f'{{"metadata": {deep}}}'), ("user.list_sessions", deep)):
        await client._transport.socket.send(f'{{"event": "{event}", "content": {content}}}')
        answer = await client.wait_for(lambda frame: frame.event != "system.heartbeat")
        assert answer.event in ("agent.session_created", "system.sessions") or answer.code in NOT_OURS, answer
    assert await client.create_session()
    assert "Traceback" not in server.log


async def test_many_bad_frames_in_a_row(client):
    for number in range(200):
        await client._transport.socket.send(f"bad {number}")
    for _ in range(200):
        assert (await client.wait_for(lambda frame: True)).code == "bad_json"
    assert await client.create_session()
