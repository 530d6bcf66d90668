"""How a connection ends, and what only its timing shows; the rest is tested from outside, in `test_flow_*`."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from agents.access import Grant
from agents.conf import Config
from myagent.protocol.errors import CloseCode
from sessions_app.consumers import AgentConsumer
from sessions_app.hub import Hub


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
    consumer._begin("agent")
    try:
        yield consumer
    finally:
        consumer._let_go()


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
