"""The server's end of a client's connections, whose every frame the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve

from tests.support.patience import WAIT_SECONDS

GREETING = {"event": "system.connected", "metadata": {"connection_id": "c1", "agents": ["a", "b"]}}


class Peer:
    """The server's end of one connection."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        assert socket.request is not None
        self.headers, self.path = socket.request.headers, socket.request.path

    async def say(self, *frames: dict[str, Any]) -> None:
        for frame in frames:
            await self.socket.send(orjson.dumps(frame).decode())

    async def heard(self, event: str | None = None) -> dict[str, Any]:
        """The next frame of the client; the next that is not an acknowledgement when it should be an `event`."""
        while True:
            frame = orjson.loads(await self.socket.recv())
            if event is None or frame["event"] == event:
                return frame
            assert frame["event"] == "user.ack", frame

    async def answer(self, frame: dict[str, Any], event: str | None = None) -> dict[str, Any]:
        """Hear one request and reply to it with `frame`."""
        heard = await self.heard(event)
        known = {**frame.get("metadata", {}), "request_id": heard["metadata"]["request_id"]}
        await self.say({**frame, "metadata": known})
        return heard

    def cut(self) -> None:
        """Break the connection, without a word."""
        self.socket.transport.abort()


class Peers:
    """Takes connections; each greets, unless `greeting` is something else."""

    def __init__(self) -> None:
        self.greeting: dict[str, Any] | None = GREETING
        self.refuse_with: tuple[int, str] | None = None
        self._came: asyncio.Queue[Peer] = asyncio.Queue()
        self._done = asyncio.Event()
        self.server: Server

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"

    async def serve(self, socket: ServerConnection) -> None:
        peer = Peer(socket)
        if self.refuse_with is not None:
            await socket.close(*self.refuse_with)
        elif self.greeting is not None:
            await peer.say(self.greeting)
        self._came.put_nowait(peer)
        await self._done.wait()

    async def next(self) -> Peer:
        """The next connection."""
        return await self._came.get()

    def finish(self) -> None:
        self._done.set()


@asynccontextmanager
async def listening(port: int = 0) -> AsyncIterator[Peers]:
    """A server, on a free port unless told otherwise, for at most 20 s."""
    peers = Peers()
    async with asyncio.timeout(WAIT_SECONDS), serve(peers.serve, "127.0.0.1", port) as peers.server:
        try:
            yield peers
        finally:
            peers.finish()


def logged(seq: int, event: str = "agent.thinking", session: str = "s", **keys: Any) -> dict[str, Any]:
    """A logged event."""
    known = {"event": event, "session_id": session, "seq": seq, "event_id": f"{session}-{seq}", "content": f"{seq}"}
    return {**known, **keys}


def replay_notice(count: int = 0, last_seq: int = 0, run_status: str = "idle", session: str = "s") -> dict[str, Any]:
    """The notice that ends a replay, but for its `request_id`."""
    facts = {"action": "replay", "replayed": count, "last_seq": last_seq, "run_status": run_status}
    return {"event": "system.notice", "session_id": session, "metadata": facts}


def accepted(message_id: str = "m", run_id: str = "r", position: int = 0, **more: Any) -> dict[str, Any]:
    """The notice that a message was stored, but for its `request_id`."""
    facts = {"action": "accepted", "message_id": message_id, "run_id": run_id, "position": position, **more}
    return {"event": "system.notice", "session_id": "s", "metadata": facts}
