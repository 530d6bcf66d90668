"""How a connection ends; what it does while it lives is tested from outside, in `test_flow_*`."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from sessions_app.consumers import AgentConsumer


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
