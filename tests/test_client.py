"""The client against a server of a few lines, whose every frame the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve

from myagent.client import Client, ConnectionLost, RequestRefused, ServerFrame, connect
from myagent.protocol.codec import parse_frame

GREETING = {"event": "system.connected", "metadata": {"connection_id": "c1", "agents": ["a", "b"]}}


class Peer:
    """The server's end of the connection."""

    def __init__(self) -> None:
        self.sockets: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self.done = asyncio.Event()

    async def serve(self, socket: ServerConnection) -> None:
        self.headers = socket.request.headers
        self.socket = socket
        await self.say(GREETING)
        await self.done.wait()

    async def say(self, *frames: dict[str, Any]) -> None:
        for frame in frames:
            await self.socket.send(orjson.dumps(frame).decode())

    async def heard(self) -> dict[str, Any]:
        return orjson.loads(await self.socket.recv())

    async def answer(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Hear one request and reply to it with `frame`."""
        heard = await self.heard()
        known = {**frame.get("metadata", {}), "request_id": heard["metadata"]["request_id"]}
        await self.say({**frame, "metadata": known})
        return heard


@asynccontextmanager
async def pair(**options: Any) -> AsyncIterator[tuple[Client, Peer]]:
    peer = Peer()
    async with asyncio.timeout(20), serve(peer.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/", **options) as client:
            yield client, peer
        peer.done.set()


def logged(seq: int, event: str = "agent.thinking", session: str = "s") -> dict[str, Any]:
    return {"event": event, "session_id": session, "seq": seq, "event_id": f"{session}-{seq}", "content": f"{seq}"}


async def test_greeting_and_token():
    async with pair(token="mya_secret") as (client, peer):
        assert (client.connection_id, client.agents) == ("c1", ("a", "b"))
        assert peer.headers["Authorization"] == "Bearer mya_secret"
        assert "secret" not in peer.socket.request.path


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
        notice = {"event": "system.notice", "metadata": {"replayed": 2, "last_seq": 6, "run_status": "idle"}}
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
        accepted = {"message_id": "m", "run_id": "r", "position": 2, "duplicate": True}
        heard = await peer.answer({"event": "system.notice", "metadata": accepted})
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
        waiter = client._waiters[1]
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
    async def refuse(socket: ServerConnection) -> None:
        await socket.close(4401, "credentials_required")

    async with serve(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionLost) as raised:
            async with connect(f"ws://127.0.0.1:{port}/"):
                raise AssertionError("must not connect")
        assert (raised.value.close_code, raised.value.reason) == (4401, "credentials_required")


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
