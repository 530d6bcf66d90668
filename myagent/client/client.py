"""The client of the protocol, and the two ways to connect one.

async with connect("ws://localhost:8080/", token="mya_…") as client:
    session_id = await client.create_session()
    await client.say(session_id, "Hello")
    answer = await client.wait_for("agent.final_answer")
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from myagent.client.connection import SingleConnection, open_connection
from myagent.client.errors import ConnectionLost
from myagent.client.frames import Accepted, Match, Replayed, ServerFrame, predicate
from myagent.client.reconnect_loop import Link
from myagent.client.reconnecting import Reconnecting
from myagent.client.sessions import SessionRequests
from myagent.client.wire import AskedWhenBusy, Content, message, read, response, wire
from myagent.protocol.client_fields import ClientEvent


class Client(SessionRequests):
    """Made by `connect` or `stay_connected`. Iterate over it to get every frame of the server.

    Each frame is handed out once: to the task that waits for it (`wait_for`), else to the iteration. Several tasks may
    use one client.

    With `connect` the iteration ends with the connection, and a reply goes to its request alone. With `stay_connected`
    both go on over all connections: logged events of the sessions that the client created, resumed or restored come in
    order, each exactly once; direct events come as well, also those that were the reply to a request. What this client
    itself said or answered does not come back, unless `resume` reads it from the log. Requests without a reply are sent
    again on the next connection: messages under the same id, so they are taken once; the creation of a session may
    leave an empty session behind.
    """

    def __init__(self, transport: SingleConnection | Reconnecting) -> None:
        self._transport = transport

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents that may be used, as the newest connection says."""
        return self._transport.newest.agents

    @property
    def connection_id(self) -> str:
        """The server's name for the newest connection."""
        return self._transport.newest.connection_id

    @property
    def max_frame_bytes(self) -> int | None:
        """Bytes of the largest frame that the server takes, if it says so; a larger one ends the connection."""
        return self._transport.newest.max_frame_bytes

    @property
    def cursors(self) -> dict[str, int]:
        """The `seq` of the last event that was received, for each session."""
        return self._transport.cursors

    @property
    def unread(self) -> tuple[ServerFrame, ...]:
        """The frames that were received and not handed out yet."""
        return tuple(self._transport.unread.frames)

    # --- conversations ---

    async def say(
        self,
        session_id: str,
        content: Content,
        message_id: str | None = None,
        *,
        when_busy: AskedWhenBusy | None = None,
        output_schema: Mapping[str, Any] | None = None,
    ) -> Accepted:
        """Send a message and return once the server has stored it; the answer comes as events.

        Sending the same `message_id` again is safe: the server takes it once. `when_busy` asks for one of the things
        that the agent may do with a message that comes during an answer. `output_schema` is the JSON schema of what the
        answer has to be, for agents that accept that. Raises `RequestRefused`.
        """
        sent = message(session_id, content, message_id, when_busy=when_busy, output_schema=output_schema)
        return read(Accepted, (await self.request(sent)).metadata)

    async def withdraw(self, session_id: str, message_id: str) -> None:
        """Take a message back that waits. Raises `RequestRefused` when it has been read, or there is none."""
        await self.request({"event": "user.withdraw", "session_id": session_id, "message_id": message_id})

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
        """Stop the active run of a session and those that wait; `agent.interrupted` follows."""
        await self.send({"event": "user.cancel", "session_id": session_id})

    async def resume(self, session_id: str, last_seq: int = 0) -> Replayed:
        """Follow a session: have everything after `last_seq` sent, and from then on what is new.

        The events that are sent again are read as any other frame. Raises `RequestRefused`. With `stay_connected` it
        returns when they have come, and raises `ValueError` when the session is followed already.
        """
        notice = await self._transport.resume(session_id, last_seq)
        return read(Replayed, notice.metadata, count=notice.metadata["replayed"])

    async def reconnect(self, session_id: str) -> Replayed:
        """Resume a session after the last event that this client has received."""
        return await self.resume(session_id, self.cursors.get(session_id, 0))

    async def ack(self, session_id: str) -> None:
        """Tell the server how far this client has read a session; `stay_connected` does so every second."""
        await self._transport.acknowledge(session_id)

    # --- frames ---

    async def send(self, event: ClientEvent | Mapping[str, Any]) -> None:
        """Send an event without waiting for a reply.

        Raises `ConnectionLost`; with `stay_connected` it is sent on each connection until something shows that it
        arrived.
        """
        await self._transport.send(wire(event))

    async def request(
        self, event: ClientEvent | Mapping[str, Any], *, answered_by: Callable[[ServerFrame], bool] | None = None
    ) -> ServerFrame:
        """Send an event and return the server's reply to it, or the first frame that `answered_by` takes for one.

        Raises `RequestRefused`, `ConnectionLost`, `FrameTooLarge`.
        """
        return await self._transport.request(wire(event), answered_by)

    async def wait_for(self, match: Match) -> ServerFrame:
        """The first frame that matches, of those not yet handed out and those to come; the others stay unread.

        Raises `ConnectionLost`.
        """
        return await self._transport.wait_for(predicate(match))

    async def until(self, match: Match) -> list[ServerFrame]:
        """Every frame up to and with the first that matches. Raises `ConnectionLost`."""
        matches, frames = predicate(match), [await self.wait_for(_any_frame)]
        while not matches(frames[-1]):
            frames.append(await self.wait_for(_any_frame))
        return frames

    async def __aiter__(self) -> AsyncIterator[ServerFrame]:
        while True:
            try:
                frame = await self.wait_for(_any_frame)
            except ConnectionLost:
                if self._transport.ends_with_connection:
                    return
                raise
            yield frame

    # --- the end ---

    @property
    def close_code(self) -> int | None:
        """Why the newest connection ended; None while it is open."""
        return self._transport.newest.socket.close_code

    async def close(self) -> None:
        """Disconnect for good; runs stay active without it. Frames that were not received are dropped."""
        await self._transport.close()


@asynccontextmanager
async def connect(
    url: str, *, token: str | None = None, cursors: Mapping[str, int] | None = None
) -> AsyncIterator[Client]:
    """Connect to a server, or to one of its agents at `…/ws/<agent>/`; the connection ends with the block.

    `cursors` are those of an earlier `Client`: events up to there are dropped, and `reconnect` resumes there. Raises
    `OSError` when no server listens, `ConnectionLost` when the server does not let this client in, `HandshakeRefused`
    when no WebSocket of MyAgent is opened there, and `ValueError` for what is no WebSocket URL.
    """
    async with open_connection(url, token, cursors) as connection:
        yield Client(connection)


@asynccontextmanager
async def stay_connected(
    url: str,
    *,
    token: str | None = None,
    on_link: Callable[[Link], None] | None = None,
    give_up_after: float | None = None,
) -> AsyncIterator[Client]:
    """Connect and stay connected until the block ends; `on_link` is called at each change of the connection.

    The first connection is waited for, and its failure is raised: `OSError` when no server listens, `ConnectionLost`
    and `HandshakeRefused` when the server does not let this client in (a server that is restarting or full is tried
    again). Later on these are raised by iteration and requests when reconnecting is of no use, such as with a token
    that was revoked (4401), or when there was no connection for `give_up_after` seconds (None: it is tried for ever).
    """
    transport = Reconnecting(url, token=token, on_link=on_link, give_up_after=give_up_after)
    try:
        await transport.opened()
        yield Client(transport)
        await transport.acknowledge()
    finally:
        await transport.close()


def _any_frame(frame: ServerFrame) -> bool:
    return True
