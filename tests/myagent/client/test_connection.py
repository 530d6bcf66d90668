"""The client against a server of a few lines, whose every frame the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve

from myagent.client import Client, ConnectionLost, HandshakeRefused, RequestRefused, ServerFrame, connect
from myagent.protocol.codec import parse_frame
from tests.support.peer import Peer, accepted, listening, logged, replay_notice


@asynccontextmanager
async def pair(**options: Any) -> AsyncIterator[tuple[Client, Peer]]:
    async with listening() as peers, connect(peers.url, **options) as client:
        yield client, await peers.next()
        peers.finish()


async def test_greeting_and_token():
    async with pair(token="mya_secret") as (client, peer):
        assert (client.connection_id, client.agents) == ("c1", ("a", "b"))
        assert peer.headers["Authorization"] == "Bearer mya_secret"
        assert "secret" not in peer.path


async def test_frames_are_typed_and_unknown_keys_ignored():
    async with pair() as (client, peer):
        await peer.say({**logged(3), "step_id": "x", "metadata": {"run_id": "r", "code": "c"}, "new_key": 1})
        frame = await client.wait_for("agent.thinking")
        assert (frame.session_id, frame.seq, frame.event_id, frame.step_id) == ("s", 3, "s-3", "x")
        assert (frame.run_id, frame.code, frame.ends_run, frame.is_refusal) == ("r", "c", False, False)


@pytest.mark.parametrize(
    ("event", "metadata", "ends", "refuses"),
    [
        ("agent.final_answer", {"run_id": "r"}, True, False),
        ("agent.error", {"run_id": "r", "code": "x"}, True, False),
        ("agent.error", {"code": "x"}, False, True),
        ("system.error", {"code": "x"}, False, True),
        ("agent.interrupted", {"reason": "idle"}, False, False),
    ],
)
def test_ends_and_refusals(event, metadata, ends, refuses):
    frame = ServerFrame(event=event, metadata=metadata)
    assert (frame.ends_run, frame.is_refusal) == (ends, refuses)


async def test_duplicates_are_dropped_per_session():
    async with pair() as (client, peer):
        await peer.say(logged(1), logged(2), logged(2), logged(1), logged(1, session="t"), logged(5))
        await peer.say({"event": "end"})
        frames = await client.until("end")
        assert [(frame.session_id, frame.seq) for frame in frames[:-1]] == [("s", 1), ("s", 2), ("t", 1), ("s", 5)]
        assert client.cursors == {"s": 5, "t": 1}


async def test_cursors_of_an_earlier_connection():
    async with pair(cursors={"s": 4}) as (client, peer):
        reconnecting = asyncio.create_task(client.reconnect("s"))
        notice = replay_notice(2, 6)
        heard = await peer.heard()
        assert (heard["event"], heard["session_id"], heard["last_seq"]) == ("user.reconnect", "s", 4)
        await peer.say(logged(4), logged(5), logged(6))
        notice["metadata"]["request_id"] = heard["metadata"]["request_id"]
        await peer.say(notice)
        replayed = await reconnecting
        assert (replayed.count, replayed.last_seq, replayed.run_status) == (2, 6, "idle")
        assert [(await client.wait_for("agent.thinking")).seq for _ in range(2)] == [5, 6]
        await client.ack("s")
        assert await peer.heard() == {"event": "user.ack", "session_id": "s", "last_seq": 6}


async def test_resuming_from_an_event_that_was_received_before():
    async with pair(cursors={"s": 4}) as (client, peer):
        resuming = asyncio.create_task(client.resume("s", 2))
        heard = await peer.heard()
        assert (heard["event"], heard["last_seq"]) == ("user.reconnect", 2)
        notice = replay_notice(2, 4)
        notice["metadata"]["request_id"] = heard["metadata"]["request_id"]
        await peer.say(logged(3), logged(4), notice)
        assert (await resuming).count == 2
        assert [frame.seq for frame in client.unread] == [3, 4]


async def test_waiting_leaves_other_frames_unread_and_in_order():
    async with pair() as (client, peer):
        await peer.say(logged(1), logged(2), logged(3, "agent.final_answer"), logged(4))
        assert (await client.wait_for("agent.final_answer")).seq == 3
        assert (await client.wait_for(lambda frame: frame.seq == 2)).seq == 2
        await peer.socket.close()
        assert [frame.seq async for frame in client] == [1, 4]


async def test_several_tasks_share_a_client():
    async with pair() as (client, peer):
        seen = []

        async def iterate():
            async for frame in client:
                seen.append(frame.seq)

        iterating = asyncio.create_task(iterate())
        saying = asyncio.create_task(client.say("s", "hello", message_id="m"))
        await peer.say(logged(1))
        heard = await peer.answer(accepted(position=2, duplicate=True))
        assert heard["content"] == "hello" and heard["metadata"]["message_id"] == "m"
        answer = await saying
        assert (answer.run_id, answer.position, answer.duplicate) == ("r", 2, True)
        await peer.say(logged(2))
        await peer.socket.close()
        await iterating
        assert seen == [1, 2]


async def test_cancelled_waiting_loses_no_frame():
    async with pair() as (client, peer):
        reading = asyncio.create_task(client.wait_for("never"))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(client.wait_for("agent.thinking"))
        await asyncio.sleep(0)
        waiter = client._transport.unread._waiters[1]
        await peer.say(logged(1))
        # Cancelled when the other task has handed it the frame and it could not return it yet.
        while not waiter.frame.done():
            await asyncio.sleep(0)
        assert not waiting.done()
        for task in (waiting, reading):
            task.cancel()
        await asyncio.gather(waiting, reading, return_exceptions=True)
        assert waiting.cancelled()
        assert (await client.wait_for("agent.thinking")).seq == 1


async def test_refusals_are_raised():
    async with pair() as (client, peer):
        creating = asyncio.create_task(client.create_session("x", title="t", metadata={"k": 1}))
        refusal = {"event": "agent.error", "content": "no such agent", "metadata": {"code": "agent_not_found"}}
        heard = await peer.answer(refusal)
        assert heard["content"] == {"agent": "x", "title": "t", "metadata": {"k": 1}}
        with pytest.raises(RequestRefused, match=r"no such agent \(agent_not_found\)") as raised:
            await creating
        assert raised.value.code == "agent_not_found"


async def test_lost_connection():
    async with pair() as (client, peer):
        assert client.close_code is None
        await peer.socket.close(1012, "service restart")
        with pytest.raises(ConnectionLost, match="service restart") as raised:
            await client.wait_for("agent.final_answer")
        assert raised.value.close_code == client.close_code == 1012
        with pytest.raises(ConnectionLost):
            await client.send({"event": "user.cancel"})


async def test_refused_connection():
    async with listening() as peers:
        peers.refuse_with = 4401, "credentials_required"
        with pytest.raises(ConnectionLost) as raised:
            async with connect(peers.url):
                raise AssertionError("must not connect")
        assert (raised.value.close_code, raised.value.reason) == (4401, "credentials_required")
        assert raised.value.is_final


@pytest.mark.parametrize(("status", "is_final"), [(403, True), (503, False)])
async def test_refused_handshake(status, is_final):
    def refuse(connection: ServerConnection, request: object) -> object:
        return connection.respond(HTTPStatus(status), "no")

    async with serve(lambda socket: None, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(HandshakeRefused, match=f"HTTP {status}") as raised:
            async with connect(f"ws://127.0.0.1:{port}/"):
                raise AssertionError("must not connect")
    assert (raised.value.status, raised.value.is_final) == (status, is_final)


@pytest.mark.parametrize("greeting", [["no", "object"], {"hello": "world"}], ids=["no object", "no event"])
async def test_a_server_of_another_kind(greeting):
    async with listening() as peers:
        peers.greeting = greeting
        with pytest.raises(HandshakeRefused, match="does not speak its protocol"):
            async with connect(peers.url):
                raise AssertionError("must not connect")


async def test_a_url_of_another_kind():
    with pytest.raises(ValueError, match="ftp"):
        async with connect("ftp://localhost/"):
            raise AssertionError("must not connect")


async def test_a_host_that_can_be_none():
    with pytest.raises(OSError, match=r"'a\.\.b' is no name of a host"):
        async with connect("ws://a..b/"):
            raise AssertionError("must not connect")


async def test_a_proxy_is_for_other_machines(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ws_proxy", "http://127.0.0.1:1")
    async with pair() as (client, _peer):
        assert client.connection_id == "c1"


EVENTS = [
    {"event": "user.message", "session_id": "s", "content": "hi", "metadata": {"message_id": "m"}},
    {"event": "user.create_session", "content": {"agent": "a", "title": "t", "metadata": {"k": "v"}}},
    {"event": "user.response", "session_id": "s", "step_id": "x", "content": {"confirmed": False, "reason": "no"}},
    {"event": "user.response", "session_id": "s", "step_id": "x", "content": {"confirmed": True, "args": {"a": 1}}},
    {"event": "user.update_session", "session_id": "s", "content": {"title": "t"}},
    {"event": "user.reconnect", "session_id": "s", "last_seq": 3},
    {"event": "user.list_sessions", "content": {"limit": 3, "query": "q"}},
    {"event": "user.ack", "session_id": "s", "last_seq": 3},
    {"event": "user.cancel", "session_id": "s"},
]


@pytest.mark.parametrize("frame", EVENTS, ids=lambda frame: frame["event"])
async def test_typed_events_say_the_same_on_the_wire(frame):
    event = parse_frame(orjson.dumps(frame).decode())
    async with pair() as (client, peer):
        await client.send(event)
        assert parse_frame(orjson.dumps(await peer.heard()).decode()) == event


async def test_lists_of_sessions():
    async with pair() as (client, peer):
        listing = asyncio.create_task(client.list_sessions(query="q", limit=2))
        row = {"session_id": "s", "agent": "a", "title": "t", "status": "closed", "last_seq": 4, "later": 1}
        heard = await peer.answer({"event": "system.sessions", "metadata": {"sessions": [row], "next": "n"}})
        assert heard["content"] == {"query": "q", "limit": 2}
        page = await listing
        assert page.next == "n"
        (session,) = page.sessions
        assert (session.session_id, session.title, session.status, session.last_seq) == ("s", "t", "closed", 4)


@pytest.mark.parametrize(
    ("ask", "sent", "reply"),
    [
        (lambda client: client.update_session("s", title="t"), {"title": "t"}, "agent.session_updated"),
        (lambda client: client.close_session("s"), None, "agent.session_end"),
        (lambda client: client.delete_session("s"), None, "agent.session_deleted"),
    ],
)
async def test_requests_that_an_event_of_the_session_answers(ask, sent, reply):
    async with pair() as (client, peer):
        asking = asyncio.create_task(ask(client))
        heard = await peer.heard()
        assert (heard["session_id"], heard.get("content")) == ("s", sent)
        await peer.say(logged(1, reply, session="another"), logged(2, reply))
        await asking
        assert [frame.session_id for frame in client.unread] == ["another"]
        asking = asyncio.create_task(ask(client))
        await peer.answer({"event": "agent.error", "metadata": {"code": "session_not_found"}})
        with pytest.raises(RequestRefused):
            await asking


async def test_export_and_restore():
    async with pair() as (client, peer):
        exporting = asyncio.create_task(client.export_state("s"))
        known = {"signed_state": {"state": "…"}, "state_size": 9, "message_count": 4, "current_step": 2}
        await peer.answer({"event": "agent.state_exported", "metadata": known})
        state = await exporting
        assert (state.message_count, state.current_step) == (4, 2)
        restoring = asyncio.create_task(client.restore(state.signed_state, last_seq=7))
        known = {"original_session_id": "s", "restored_step": 2, "message_count": 4, "agent_name": "a"}
        known |= {"connection_id": "c", "warnings": ["w"]}
        heard = await peer.answer({"event": "agent.state_restored", "session_id": "t", "metadata": known})
        assert heard["content"] == {"signed_state": {"state": "…"}, "last_seq": 7}
        restored = await restoring
        assert (restored.session_id, restored.original_session_id, restored.warnings) == ("t", "s", ("w",))


async def test_small_requests():
    async with pair() as (client, peer):
        await client.cancel("s")
        assert await peer.heard() == {"event": "user.cancel", "session_id": "s"}
        await client.respond("s", "x", True, args={"a": 1})
        heard = await peer.heard()
        assert (heard["step_id"], heard["content"]) == ("x", {"confirmed": True, "args": {"a": 1}})
        await client.respond("s", "x", False, reason="no")
        assert (await peer.heard())["content"] == {"confirmed": False, "reason": "no"}
        await client.close()
        assert client.close_code == 1000


async def test_closing_does_not_wait_for_a_reader():
    async with asyncio.timeout(5), pair() as (client, peer):  # the library's own patience ends after 10 s
        await peer.say(*(logged(seq) for seq in range(1, 200)))
        assert (await client.wait_for(lambda frame: frame.seq == 1)).seq == 1
    assert client.close_code == 1000


async def test_closing_while_another_task_reads():
    async with asyncio.timeout(5), pair() as (client, peer):
        waiting = asyncio.create_task(client.wait_for("never"))
        await peer.say(logged(1))
        await client.wait_for("agent.thinking")
        await client.close()
        with pytest.raises(ConnectionLost):
            await waiting
