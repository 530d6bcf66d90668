"""How a connection ends, and what only its timing shows; the rest is tested from outside, in `tests/server`."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from agents.access.decision import Grant
from agents.conf import Config
from myagent.protocol.error_codes import CloseCode, ProtocolError
from sessions_app import queries
from sessions_app.connection import requester
from sessions_app.connection.consumer import AgentConsumer
from sessions_app.delivery import pump
from sessions_app.delivery.hub import Hub
from sessions_app.journal.log import Growth, Logged
from sessions_app.services import caller


class BusyConsumer(AgentConsumer):
    """Has opened its connection and is busy with a request for ever, or until its client has left."""

    def __init__(self):
        super().__init__()
        self.opened = asyncio.Event()
        self.closed = 0

    async def dispatch(self, message):
        if message["type"] == "websocket.disconnect":
            await self.websocket_disconnect(message)
        self.engine = SimpleNamespace(connections={self})
        self.pump = SimpleNamespace(close=self.close_pump)
        self._pumping = asyncio.create_task(asyncio.Event().wait())
        self.opened.set()
        if message["type"] == "busy":
            await asyncio.Event().wait()

    def close_pump(self):
        self.closed += 1


@pytest.mark.parametrize("kind", ["busy", "idle"])
async def test_a_connection_lets_go_however_it_ends(kind):
    consumer, messages = BusyConsumer(), asyncio.Queue()
    serving = asyncio.create_task(consumer({"type": "websocket"}, messages.get, None))
    messages.put_nowait({"type": kind})
    await consumer.opened.wait()
    if kind == "busy":
        serving.cancel()
    else:
        messages.put_nowait({"type": "websocket.disconnect"})
    await asyncio.gather(serving, return_exceptions=True)
    await asyncio.gather(consumer._pumping, return_exceptions=True)
    assert consumer._pumping.cancelled()
    assert consumer.engine.connections == set() and consumer.closed == 1


class OpenConsumer(AgentConsumer):
    """Has let Ann in; notes her requests instead of carrying them out. Its client reads while `reading` is set."""

    def __init__(self, **limits):
        super().__init__()
        self.scope = {}
        self.grant = Grant(kind="token", user_id=1, username="ann")
        self.engine = SimpleNamespace(hub=Hub(), config=Config(**limits), connections=set())
        self.reading, self.frames, self.handled = asyncio.Event(), [], []
        self.reading.set()

    async def base_send(self, message):
        if message["type"] == "websocket.close":
            self.closed_with = message["code"]
            self.reading.set()  # nothing that was unread is sent any more
            await rest()
        else:
            await self.reading.wait()
            self.frames.append(json.loads(message["text"]))

    async def _handle(self, event):
        self.handled.append(event.event)


@asynccontextmanager
async def opened(**limits):
    consumer = OpenConsumer(**limits)
    consumer._start("agent")
    try:
        yield consumer
    finally:
        consumer._release()


async def rest():
    """Let everything go on that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_waits_when_a_connection_is_revoked_is_not_carried_out():
    message = {"type": "websocket.receive", "text": '{"event": "user.cancel", "session_id": "x"}'}
    async with opened(outbound_frames=2) as consumer:
        await rest()
        await consumer.websocket_receive(message)
        assert consumer.handled == ["user.cancel"]
        consumer.reading.clear()
        for _ in range(2):
            consumer.heartbeat({})
        waiting = asyncio.create_task(consumer.websocket_receive(message))
        await rest()
        assert not waiting.done(), "its answer would have no room"
        await consumer.revoke()
        await waiting
        await consumer.websocket_receive(message)
        assert consumer.handled == ["user.cancel"]
        assert consumer.closed_with == CloseCode.UNAUTHENTICATED


@pytest.mark.parametrize("is_usable", [True, False])
async def test_what_happens_before_a_session_is_found_usable_tells_nothing_of_it(monkeypatch, is_usable):
    """A heartbeat, news of its log and its deletion reach the connection while the database is asked about it."""
    session_id = uuid.uuid4()
    async with opened() as consumer:
        hub = consumer.engine.hub

        async def in_thread(function, session_id, user_id):
            assert session_id in hub.attached
            consumer.heartbeat({session_id: 15})
            hub.grown([Growth(session_id, 14, [Logged(15, "{}", None)])])
            hub.grown_elsewhere({session_id: 16})
            if not is_usable:
                hub.deleted([session_id])
            await rest()
            return queries.SessionFacts(session_id, "agent", 16) if is_usable else None

        async def nothing_more(*args):
            return []

        monkeypatch.setattr(caller, "in_thread", in_thread)
        monkeypatch.setattr(pump, "in_thread_patiently", nothing_more)
        facts = await requester.attach_if_usable(consumer.requester, session_id)
        assert (facts is not None) is is_usable
        if is_usable:
            consumer.pump.follow(session_id, "agent", 16)
        consumer.heartbeat({session_id: 16})
        await rest()
    assert [frame["event"] for frame in consumer.frames] == ["system.connected", *["system.heartbeat"] * 2]
    told = [frame["metadata"]["sessions"] for frame in consumer.frames[1:]]
    assert told == [{}, {str(session_id): 16} if is_usable else {}]


async def test_a_session_that_could_not_be_asked_about_is_asked_about_again(monkeypatch):
    """While the database is away nobody is let in, and not afterwards because of it either."""
    session_id = uuid.uuid4()
    answers = [OperationalError("away"), None, OperationalError("away"), queries.SessionFacts(session_id, "agent", 1)]

    async def in_thread(function, session_id, user_id):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(caller, "in_thread", in_thread)
    async with opened() as consumer:
        for error in (OperationalError, ProtocolError, OperationalError):
            with pytest.raises(error):
                await requester.open_session(consumer.requester, str(session_id))
            assert consumer.pump.attached == ()
        await requester.open_session(consumer.requester, str(session_id))
        assert consumer.pump.followed == {session_id: "agent"}
        await requester.open_session(consumer.requester, str(session_id))
    assert answers == []


async def test_a_session_that_is_attached_and_not_followed_yet_is_asked_about_again(monkeypatch):
    """As one is whose state could not be read after it had been found usable."""
    session_id = uuid.uuid4()

    async def in_thread(function, session_id, user_id):
        return queries.SessionFacts(session_id, "agent", 1)

    monkeypatch.setattr(caller, "in_thread", in_thread)
    async with opened() as consumer:
        await requester.attach(consumer.requester, session_id)
        assert consumer.pump.followed == {}
        await requester.open_session(consumer.requester, str(session_id))
        assert consumer.pump.followed == {session_id: "agent"}
