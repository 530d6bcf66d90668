"""A client of the protocol, for asyncio.

    async with connect("ws://localhost:8080/", token="mya_…") as client:
        session_id = await client.create_session()
        await client.say(session_id, "Hello")
        answer = await client.wait_for("agent.final_answer")

It remembers, for each session, the last event it was sent; `reconnect` goes on from there, and `connect(cursors=…)`
hands what an earlier connection knew to a new one. Events that come twice are dropped.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed

from myagent.client_frames import (
    Accepted,
    ClientError,
    ConnectionLost,
    Match,
    Replayed,
    RequestRefused,
    ServerFrame,
    predicate,
)
from myagent.protocol.client_base import ClientEvent
from myagent.protocol.client_events import UserCreateSession, UserResponse, UserUpdateSession

__all__ = [
    "Accepted",
    "Client",
    "ClientError",
    "ConnectionLost",
    "Match",
    "Replayed",
    "RequestRefused",
    "ServerFrame",
    "connect",
]

MAX_FRAME_BYTES = 32 * 2**20
OPEN_SECONDS = 30.0

# What these events say stands in their `content`; the fields of all others are at top level.
_IN_CONTENT: dict[type[ClientEvent], dict[str, str]] = {
    UserCreateSession: {"agent": "agent", "title": "title", "session_metadata": "metadata"},
    UserUpdateSession: {"title": "title", "session_metadata": "metadata"},
    UserResponse: {"confirmed": "confirmed", "args": "args", "tasks": "tasks", "reason": "reason"},
}


@dataclass(slots=True, eq=False)
class _Waiter:
    match: Callable[[ServerFrame], bool]
    frame: asyncio.Future[ServerFrame]


class Client:
    """An open connection; made by `connect`. Iterate over it to get every frame until the connection ends.

    Each frame is handed out once: to the one who waits for it (`wait_for`, `request`), else to the iteration. Several
    tasks may use one client. Frames are read only while somebody wants one, so a slow reader slows the server down.
    """

    def __init__(self, socket: ClientConnection, cursors: Mapping[str, int] | None = None) -> None:
        self.cursors: dict[str, int] = dict(cursors or {})
        """The `seq` of the last event that was read, for each session."""
        self.connection_id = ""
        self.agents: tuple[str, ...] = ()
        self._socket = socket
        self._unread: deque[ServerFrame] = deque()
        self._waiters: list[_Waiter] = []
        self._reading = asyncio.Lock()

    # --- conversations ---

    async def create_session(
        self, agent: str | None = None, *, title: str = "", metadata: Mapping[str, Any] | None = None
    ) -> str:
        """Begin a conversation and return its id; `agent` None is the default one. Raises `RequestRefused`."""
        content = {"agent": agent, "title": title, "metadata": dict(metadata or {})}
        return str((await self.request({"event": "user.create_session", "content": content})).session_id)

    async def say(self, session_id: str, text: str, message_id: str | None = None) -> Accepted:
        """Send a message and return once the server has stored it; the answer comes as events.

        Sending the same `message_id` again is safe: the server takes it once. Raises `RequestRefused`.
        """
        event: dict[str, Any] = {"event": "user.message", "session_id": session_id, "content": text}
        event["metadata"] = {"message_id": message_id or uuid.uuid4().hex}
        known = (await self.request(event)).metadata
        return Accepted(
            message_id=known["message_id"],
            run_id=known["run_id"],
            position=known["position"],
            duplicate=known.get("duplicate", False),
        )

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
        answer = {"confirmed": confirmed, "args": args, "reason": reason}
        content = {key: value for key, value in answer.items() if value is not None}
        await self.send({"event": "user.response", "session_id": session_id, "step_id": step_id, "content": content})

    async def cancel(self, session_id: str) -> None:
        """Stop what goes on in a session; `agent.interrupted` follows."""
        await self.send({"event": "user.cancel", "session_id": session_id})

    async def reconnect(self, session_id: str) -> Replayed:
        """Have everything sent that this client has not read of a session, and from then on what is new.

        Raises `RequestRefused`. What was sent again is to be read as any other frame.
        """
        event = {"event": "user.reconnect", "session_id": session_id, "last_seq": self.cursors.get(session_id, 0)}
        known = (await self.request(event)).metadata
        return Replayed(count=known["replayed"], last_seq=known["last_seq"], run_status=known["run_status"])

    async def ack(self, session_id: str) -> None:
        """Tell the server up to where this client has read a session."""
        await self.send({"event": "user.ack", "session_id": session_id, "last_seq": self.cursors.get(session_id, 0)})

    # --- frames ---

    async def send(self, event: ClientEvent | Mapping[str, Any]) -> None:
        """Send one event. Raises `ConnectionLost`."""
        frame = _wire(event) if isinstance(event, ClientEvent) else event
        try:
            await self._socket.send(orjson.dumps(frame).decode())
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    async def request(self, event: ClientEvent | Mapping[str, Any]) -> ServerFrame:
        """Send an event and return the server's reply to it. Raises `RequestRefused`, `ConnectionLost`."""
        request_id = uuid.uuid4().hex
        frame = dict(_wire(event) if isinstance(event, ClientEvent) else event)
        frame["metadata"] = {**frame.get("metadata", {}), "request_id": request_id}
        await self.send(frame)
        reply = await self.wait_for(lambda answer: answer.metadata.get("request_id") == request_id)
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
        matches, frames = predicate(match), [await self.wait_for(_any)]
        while not matches(frames[-1]):
            frames.append(await self.wait_for(_any))
        return frames

    def __aiter__(self) -> AsyncIterator[ServerFrame]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[ServerFrame]:
        while True:
            try:
                frame = await self.wait_for(_any)
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
        async with self._reading:
            with suppress(ConnectionClosed):
                while True:
                    await self._socket.recv()
        await closing


@asynccontextmanager
async def connect(
    url: str, *, token: str | None = None, cursors: Mapping[str, int] | None = None
) -> AsyncIterator[Client]:
    """Connect to a server, or to one of its agents at `…/ws/<agent>/`; the connection ends with the block.

    `cursors` are those of an earlier `Client`. Raises `OSError` when nobody listens, `ConnectionLost` when the server
    does not let this client in.
    """
    # A header and not the query: URLs end up in logs.
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with open_websocket(
        url, additional_headers=headers, max_size=MAX_FRAME_BYTES, open_timeout=OPEN_SECONDS
    ) as socket:
        client = Client(socket, cursors)
        greeting = await client.wait_for("system.connected")
        client.connection_id = greeting.metadata["connection_id"]
        client.agents = tuple(greeting.metadata["agents"])
        try:
            yield client
        finally:
            await client.close()


def _wire(event: ClientEvent) -> dict[str, Any]:
    """`event` as its frame has it."""
    fields = event.model_dump(exclude_none=True)
    if (inside := _IN_CONTENT.get(type(event))) is None:
        return fields
    content = {name: fields.pop(key) for key, name in inside.items() if key in fields}
    return {**fields, "content": content}


def _any(frame: ServerFrame) -> bool:
    return True


def _lost(closed: ConnectionClosed) -> ConnectionLost:
    frame = closed.rcvd or closed.sent
    return ConnectionLost(frame.code, frame.reason) if frame else ConnectionLost(1006, "no close frame")
