"""One connection to a server.

    async with connect("ws://localhost:8080/", token="mya_…") as client:
        session_id = await client.create_session()
        await client.say(session_id, "Hello")
        answer = await client.wait_for("agent.final_answer")

It remembers, for each session, the last event it was sent; `reconnect` goes on from there, and `connect(cursors=…)`
hands what an earlier connection knew to a new one. Events that come twice are dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI

from myagent.client.errors import ConnectionLost, HandshakeRefused, RequestRefused
from myagent.client.frames import Accepted, Match, Replayed, ServerFrame, predicate
from myagent.client.sessions import SessionRequests
from myagent.client.wire import Content, accepted, answers, message, new_id, replayed, response, wire
from myagent.protocol.client_fields import ClientEvent

MAX_FRAME_BYTES = 32 * 2**20
OPEN_SECONDS = 30.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(slots=True, eq=False)
class _Waiter:
    match: Callable[[ServerFrame], bool]
    frame: asyncio.Future[ServerFrame]


class Client(SessionRequests):
    """An open connection; made by `connect`. Iterate over it to get every frame until the connection ends.

    Each frame is handed out once: to the one who waits for it (`wait_for`, `request`), else to the iteration. Several
    tasks may use one client. Frames are read only while somebody wants one, so a slow reader slows the server down.
    """

    def __init__(self, socket: ClientConnection, cursors: Mapping[str, int] | None = None) -> None:
        self.cursors: dict[str, int] = dict(cursors or {})
        """The `seq` of the last event that was read, for each session."""
        self.connection_id = ""
        self.agents: tuple[str, ...] = ()
        self.max_frame_bytes: int | None = None
        """Bytes of the largest frame that the server takes, if it says so; a larger one ends the connection."""
        self._socket = socket
        self._unread: deque[ServerFrame] = deque()
        self._waiters: list[_Waiter] = []
        self._reading = asyncio.Lock()

    def greet(self, greeting: ServerFrame) -> None:
        """Take note of what the server says first."""
        self.connection_id = greeting.metadata.get("connection_id", "")
        self.agents = tuple(greeting.metadata.get("agents", ()))
        self.max_frame_bytes = greeting.metadata.get("max_frame_bytes")

    # --- conversations ---

    async def say(self, session_id: str, content: Content, message_id: str | None = None) -> Accepted:
        """Send a message and return once the server has stored it; the answer comes as events.

        Sending the same `message_id` again is safe: the server takes it once. Raises `RequestRefused`.
        """
        return accepted(await self.request(message(session_id, content, message_id)))

    async def respond(
        self,
        session_id: str,
        step_id: str,
        confirmed: bool,
        *,
        args: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Answer an `agent.user_confirm`; `args` replaces the arguments of the call. A refusal comes as an event."""
        await self.send(response(session_id, step_id, confirmed, args=args, reason=reason))

    async def cancel(self, session_id: str) -> None:
        """Stop what goes on in a session; `agent.interrupted` follows."""
        await self.send({"event": "user.cancel", "session_id": session_id})

    async def reconnect(self, session_id: str) -> Replayed:
        """Have everything sent that this client has not read of a session, and from then on what is new.

        Raises `RequestRefused`. What was sent again is to be read as any other frame.
        """
        event = {"event": "user.reconnect", "session_id": session_id, "last_seq": self.cursors.get(session_id, 0)}
        return replayed(await self.request(event))

    async def ack(self, session_id: str) -> None:
        """Tell the server up to where this client has read a session."""
        await self.send({"event": "user.ack", "session_id": session_id, "last_seq": self.cursors.get(session_id, 0)})

    # --- frames ---

    async def send(self, event: ClientEvent | Mapping[str, Any]) -> None:
        """Send one event. Raises `ConnectionLost`."""
        try:
            await self._socket.send(orjson.dumps(wire(event)).decode())
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    async def request(
        self, event: ClientEvent | Mapping[str, Any], *, answered_by: Callable[[ServerFrame], bool] | None = None
    ) -> ServerFrame:
        """Send an event and return the server's reply to it, or the first frame that `answered_by` takes for one.

        Raises `RequestRefused`, `ConnectionLost`.
        """
        request_id = new_id()
        frame = wire(event)
        frame["metadata"] = {**frame.get("metadata", {}), "request_id": request_id}
        await self.send(frame)
        reply = await self.wait_for(lambda answer: answers(answer, request_id, answered_by))
        if reply.is_refusal:
            raise RequestRefused(reply)
        return reply

    async def wait_for(self, match: Match) -> ServerFrame:
        """The first frame that matches, of those not yet handed out and those to come; the others stay unread.

        Raises `ConnectionLost`.
        """
        matches = predicate(match)
        for frame in self._unread:
            if matches(frame):
                self._unread.remove(frame)
                return frame
        waiter = _Waiter(matches, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            while not waiter.frame.done():
                async with self._reading:
                    if not waiter.frame.done():
                        self._hand_out(ServerFrame.parse(await self._socket.recv()))
            return waiter.frame.result()
        except ConnectionClosed as closed:
            raise _lost(closed) from closed
        except asyncio.CancelledError:
            if waiter.frame.done():
                self._unread.appendleft(waiter.frame.result())
            raise
        finally:
            self._waiters.remove(waiter)

    async def until(self, match: Match) -> list[ServerFrame]:
        """Every frame up to and with the first that matches. Raises `ConnectionLost`."""
        matches, frames = predicate(match), [await self.wait_for(any_frame)]
        while not matches(frames[-1]):
            frames.append(await self.wait_for(any_frame))
        return frames

    def __aiter__(self) -> AsyncIterator[ServerFrame]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[ServerFrame]:
        while True:
            try:
                frame = await self.wait_for(any_frame)
            except ConnectionLost:
                return
            yield frame

    def _hand_out(self, frame: ServerFrame) -> None:
        if frame.seq is not None and frame.session_id is not None:
            if frame.seq <= self.cursors.get(frame.session_id, 0):
                return
            self.cursors[frame.session_id] = frame.seq
        for waiter in self._waiters:
            if not waiter.frame.done() and waiter.match(frame):
                waiter.frame.set_result(frame)
                return
        self._unread.append(frame)

    # --- the end ---

    @property
    def close_code(self) -> int | None:
        """Why the connection ended; None while it is open."""
        return self._socket.close_code

    async def close(self) -> None:
        """End the connection; runs go on without it. Frames that nobody has read are dropped."""
        closing = asyncio.create_task(self._socket.close())
        # Reading pauses while frames wait for a reader, and the server's answer to the close is behind them.
        try:
            async with self._reading:
                with suppress(ConnectionClosed):
                    while True:
                        await self._socket.recv()
            await closing
        except asyncio.CancelledError:
            self._socket.transport.abort()  # whoever leaves in a hurry does not wait for the server's answer
            raise


@asynccontextmanager
async def connect(
    url: str, *, token: str | None = None, cursors: Mapping[str, int] | None = None
) -> AsyncIterator[Client]:
    """Connect to a server, or to one of its agents at `…/ws/<agent>/`; the connection ends with the block.

    `cursors` are those of an earlier `Client`. Raises `OSError` when nobody listens, `ConnectionLost` when the server
    does not let this client in, `HandshakeRefused` when no WebSocket of MyAgent is opened there, and `ValueError` for
    what is no WebSocket URL.
    """
    # A header and not the query: URLs end up in logs.
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    client = Client(await _open(url, headers), cursors)
    try:
        client.greet(await _greeting(client))
        yield client
    finally:
        await client.close()


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


async def _greeting(client: Client) -> ServerFrame:
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            return await client.wait_for("system.connected")
    except (ValueError, TimeoutError) as error:
        raise HandshakeRefused(None, "what answers does not speak its protocol") from error


def any_frame(frame: ServerFrame) -> bool:
    return True


def _lost(closed: ConnectionClosed) -> ConnectionLost:
    frame = closed.rcvd or closed.sent
    if frame is None:
        return ConnectionLost(1006, "no close frame")
    return ConnectionLost(frame.code, frame.reason, by_client=closed.sent is not None and not closed.rcvd_then_sent)
