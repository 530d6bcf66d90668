"""One WebSocket connection to a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI

from myagent.client.errors import ConnectionLost, HandshakeRefused, granted
from myagent.client.frames import ServerFrame
from myagent.client.unread_frames import UnreadFrames
from myagent.client.wire import answers, with_request_id

MAX_FRAME_BYTES = 32 * 2**20
OPEN_SECONDS = 30.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SingleConnection:
    """An open WebSocket whose server has greeted; made by `open_connection`. The transport of `connect`.

    Frames are received only while a task waits for one, so a slow reader slows the server down.
    """

    ends_with_connection = True

    def __init__(self, socket: ClientConnection, cursors: Mapping[str, int] | None) -> None:
        self.socket = socket
        self.unread = UnreadFrames()
        self.cursors = dict(cursors or {})
        self.connection_id = ""
        self.agents: tuple[str, ...] = ()
        self.max_frame_bytes: int | None = None
        self._reading = asyncio.Lock()

    @property
    def newest(self) -> SingleConnection:
        return self

    async def read_greeting(self) -> None:
        """Receive what the server sends first. Raises `ConnectionLost`, `HandshakeRefused`."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                greeting = await self.receive()
            if greeting.event != "system.connected":
                raise ValueError(f"the first event is {greeting.event!r}")
        except (ValueError, TimeoutError) as error:
            raise HandshakeRefused(None, "what answers does not speak its protocol") from error
        self.connection_id = greeting.metadata.get("connection_id", "")
        self.agents = tuple(greeting.metadata.get("agents", ()))
        self.max_frame_bytes = greeting.metadata.get("max_frame_bytes")

    async def send(self, event: Mapping[str, Any]) -> None:
        try:
            await self.socket.send(orjson.dumps(event).decode())
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    async def request(
        self, event: Mapping[str, Any], answered_by: Callable[[ServerFrame], bool] | None = None
    ) -> ServerFrame:
        frame, request_id = with_request_id(event)
        await self.send(frame)
        return granted(await self.wait_for(lambda reply: answers(reply, request_id, answered_by)))

    async def resume(self, session_id: str, last_seq: int) -> ServerFrame:
        self.cursors[session_id] = last_seq
        return await self.request({"event": "user.reconnect", "session_id": session_id, "last_seq": last_seq})

    async def acknowledge(self, session_id: str) -> None:
        await self.send({"event": "user.ack", "session_id": session_id, "last_seq": self.cursors.get(session_id, 0)})

    async def wait_for(self, matches: Callable[[ServerFrame], bool]) -> ServerFrame:
        return await self.unread.wait_for(matches, self._receive_until)

    async def _receive_until(self, wanted: asyncio.Future[ServerFrame]) -> None:
        while not wanted.done():
            async with self._reading:
                if not wanted.done():
                    self._take(await self.receive())

    async def receive(self) -> ServerFrame:
        """The next frame from the socket. Raises `ConnectionLost`, and `ValueError` for what is no frame of ours."""
        try:
            return ServerFrame.parse(await self.socket.recv())
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    def _take(self, frame: ServerFrame) -> None:
        if frame.seq is not None and frame.session_id is not None:
            if frame.seq <= self.cursors.get(frame.session_id, 0):
                return
            self.cursors[frame.session_id] = frame.seq
        self.unread.put(frame)

    async def close(self) -> None:
        closing = asyncio.create_task(self.socket.close())
        # Reading pauses while frames wait for a reader, and the server's answer to the close is behind them.
        try:
            async with self._reading:
                with suppress(ConnectionClosed):
                    while True:
                        await self.socket.recv()
            await closing
        except asyncio.CancelledError:
            self.socket.transport.abort()  # the server's answer is not waited for any longer
            raise


@asynccontextmanager
async def open_connection(
    url: str, token: str | None, cursors: Mapping[str, int] | None = None
) -> AsyncIterator[SingleConnection]:
    """Connect to a server; the connection ends with the block. Raises as `connect` does."""
    # A header and not the query: URLs end up in logs.
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = SingleConnection(await _open(url, headers), cursors)
    try:
        await connection.read_greeting()
        yield connection
    finally:
        await connection.close()


async def _open(url: str, headers: Mapping[str, str]) -> ClientConnection:
    try:
        return await open_websocket(
            url,
            additional_headers=headers,
            max_size=MAX_FRAME_BYTES,
            open_timeout=OPEN_SECONDS,
            # What HTTP_PROXY names is there for other machines.
            proxy=None if urlsplit(url).hostname in LOOPBACK else True,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        raise HandshakeRefused(status, f"HTTP {status}") from refused
    except InvalidURI as invalid:
        raise ValueError(str(invalid)) from invalid
    except UnicodeError as error:  # what the codec for names of hosts says of a name that can be none
        raise OSError(f"{urlsplit(url).hostname!r} is no name of a host") from error
    except (InvalidHandshake, InvalidProxy) as refused:
        raise HandshakeRefused(None, str(refused)) from refused


def _lost(closed: ConnectionClosed) -> ConnectionLost:
    frame = closed.rcvd or closed.sent
    if frame is None:
        return ConnectionLost(1006, "no close frame")
    return ConnectionLost(frame.code, frame.reason, by_client=closed.sent is not None and not closed.rcvd_then_sent)
