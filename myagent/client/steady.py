"""A client that stays connected: it comes back by itself and goes on where it was, with nothing lost or twice."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from myagent.client.errors import ClientError, ConnectionLost, FrameTooLarge, RequestRefused
from myagent.client.following import Following
from myagent.client.frames import Accepted, Replayed, ServerFrame
from myagent.client.line import Line, Link
from myagent.client.outbox import Outbox, Outgoing, outgoing
from myagent.client.sessions import SessionRequests
from myagent.client.wire import Content, accepted, message, replayed, response
from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.error_codes import CloseCode, ErrorCode

CLOSE_SECONDS = 2.0
MAX_UNREAD = 1_000


class SteadyClient(SessionRequests):
    """Made by `stay_connected`. Iterate over it to get every frame of the server, over however many connections.

    Logged events of the sessions that it created, resumed or restored come in order, each exactly once. Direct events
    come as well, also those that were the reply to a request. What this client itself said or answered does not come
    back, unless `resume` reads it from the log. Events that nobody reads are kept, at most some 1,000; then the
    connection is read no further until there is room.

    Requests may be made at any time. Those without a reply are sent again on the next connection: messages under the
    same id, so they are taken once; the creation of a session may leave an empty session behind. All of them raise
    `RequestRefused`, `FrameTooLarge`, and what ended the client when it has given up (see `stay_connected`).
    """

    def __init__(
        self, url: str, *, token: str | None, on_link: Callable[[Link], None] | None, give_up_after: float | None
    ) -> None:
        self._line = Line(
            url, token=token, mail=self, on_link=partial(self._report, on_link), give_up_after=give_up_after
        )
        self._following = Following()
        self._outbox = Outbox()
        self._own: set[str] = set()
        """The ids of own messages, and of the steps of own answers."""
        self._unread: deque[ServerFrame] = deque()
        self._taken: dict[str, int] = {}
        self._acked: dict[str, int] = {}
        self._arrived, self._room = asyncio.Event(), asyncio.Event()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._error: OSError | ClientError | None = None

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents that may be used, as the newest connection says."""
        return self._line.agents

    # --- conversations ---

    async def resume(self, session_id: str, last_seq: int = 0) -> Replayed:
        """Follow a session: have everything sent behind `last_seq`, and from then on what is new.

        Returns when the events that there were have come; they are read as all others are. Raises `ValueError` when
        this client follows the session already (a new one can read it from the beginning).
        """
        if session_id in self._following:
            raise ValueError(f"{session_id!r} is followed already")
        self._raise_if_over()
        reply = self._following.add(session_id, last_seq)
        await self._line.flush()
        notice = _granted(await self._reply(reply))
        if notice.event == "agent.session_deleted":
            raise RequestRefused(notice)
        return replayed(notice)

    async def say(self, session_id: str, content: Content, message_id: str | None = None) -> Accepted:
        """Send a message and return once the server has stored it; the answer comes as events."""
        self._require(session_id)
        event = message(session_id, content, message_id)
        own = event["metadata"]["message_id"]
        self._own.add(own)
        try:
            return accepted(await self.request(event))
        except (RequestRefused, FrameTooLarge):
            self._own.discard(own)
            raise

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

        def settles(frame: ServerFrame) -> bool:
            is_logged = frame.event == "user.response" and frame.step_id == step_id
            return is_logged or (frame.ends_run and frame.session_id == session_id)

        self._require(session_id)
        item = self._outgoing(response(session_id, step_id, confirmed, args=args, reason=reason), settles)
        self._own.add(step_id)
        await self._send(item)

    async def cancel(self, session_id: str) -> None:
        """Stop what goes on in a session; `agent.interrupted` follows."""

        def settles(frame: ServerFrame) -> bool:
            is_idle = frame.metadata.get("action") == "replay" and frame.metadata.get("run_status") == "idle"
            return frame.session_id == session_id and (frame.event == "agent.interrupted" or is_idle)

        self._require(session_id)
        await self._send(self._outgoing({"event": "user.cancel", "session_id": session_id}, settles))

    async def request(
        self, event: ClientEvent | Mapping[str, Any], *, answered_by: Callable[[ServerFrame], bool] | None = None
    ) -> ServerFrame:
        """Send an event until the server replies, and return the reply, or what `answered_by` takes for one."""
        reply: asyncio.Future[ServerFrame] = asyncio.get_running_loop().create_future()
        item = self._outgoing(event, answered_by, reply)
        try:
            await self._send(item)
            return _granted(await self._reply(reply))
        finally:
            self._outbox.drop(item)

    def _outgoing(
        self,
        event: ClientEvent | Mapping[str, Any],
        settles: Callable[[ServerFrame], bool] | None,
        reply: asyncio.Future[ServerFrame] | None = None,
    ) -> Outgoing:
        self._raise_if_over()
        return outgoing(event, settles, reply, max_bytes=self._line.max_frame_bytes)

    async def _send(self, item: Outgoing) -> None:
        """Send something on each connection until it is settled."""
        self._outbox.put(item)
        await self._line.flush()

    async def _reply(self, reply: asyncio.Future[ServerFrame]) -> ServerFrame:
        self._room.set()  # reading goes on for whoever waits, however much is unread
        return await reply

    def _require(self, session_id: str) -> None:
        if session_id not in self._following:
            raise ValueError(f"{session_id!r} is not followed: create it with this client, or resume it first")

    def _raise_if_over(self) -> None:
        if self._error is not None:
            raise self._error

    # --- events ---

    def __aiter__(self) -> AsyncIterator[ServerFrame]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[ServerFrame]:
        while True:
            while not self._unread:
                self._raise_if_over()
                self._arrived.clear()
                await self._arrived.wait()
            frame = self._unread.popleft()
            self._room.set()
            if frame.seq is not None and frame.session_id is not None:
                self._taken[frame.session_id] = frame.seq
            yield frame

    # --- Mail ---

    def unsent(self, connection: int) -> Iterator[Mapping[str, Any]]:
        yield from self._following.unsent(connection)
        yield from self._outbox.unsent(connection)

    def acknowledgements(self) -> Iterator[Mapping[str, Any]]:
        for session_id, seq in list(self._taken.items()):
            if session_id in self._following and self._acked.get(session_id, 0) < seq:
                self._acked[session_id] = seq
                yield {"event": "user.ack", "session_id": session_id, "last_seq": seq}

    def give_up_largest(self, connection: int) -> None:
        self._outbox.give_up_largest(connection)

    async def take(self, frame: ServerFrame, connection: int) -> None:
        is_own = self._is_own(frame)
        is_news = self._following.take(frame, connection)
        settled = self._outbox.take(frame)
        if self._following.lags(frame.session_id, connection):
            raise ConnectionLost(CloseCode.RESTARTING, ErrorCode.TRY_AGAIN)  # and do it again after a pause
        if not is_news or is_own or (frame.is_refusal and any(item.is_repeated for item in settled)):
            return
        self._unread.append(frame)
        self._arrived.set()
        while len(self._unread) >= MAX_UNREAD and not self._is_waited_for:
            self._room.clear()
            await self._room.wait()

    @property
    def _is_waited_for(self) -> bool:
        return self._outbox.is_waited_for or self._following.is_waited_for

    def _is_own(self, frame: ServerFrame) -> bool:
        if frame.event == "user.message":
            return frame.metadata.get("message_id") in self._own
        # A live answer is somebody else's, who was quicker.
        is_old = frame.event == "user.response" and self._following.is_replaying(frame.session_id)
        return is_old and frame.step_id in self._own

    # --- the connection ---

    async def opened(self) -> None:
        """Wait for the first connection; raises why there will be none."""
        await asyncio.shield(self._opened)

    async def keep(self) -> None:
        """Be connected until cancelled, or until that is of no use any more."""
        error: OSError | ClientError = ConnectionLost(CloseCode.NORMAL, "this client was closed")
        try:
            await self._line.keep()
        except (OSError, ClientError) as lost:
            error = lost
        finally:
            self._end(error)

    def _report(self, on_link: Callable[[Link], None] | None, link: Link) -> None:
        if link.error is None and not self._opened.done():
            self._opened.set_result(None)
        if on_link is not None:
            on_link(link)

    def _end(self, error: OSError | ClientError) -> None:
        self._error = error
        self._outbox.fail(error)
        self._following.fail(error)
        if not self._opened.done():
            self._opened.set_exception(error)
        self._arrived.set()

    async def acknowledge(self) -> None:
        """Tell the server now how far was read, and not only after a second."""
        await self._line.acknowledge()


@asynccontextmanager
async def stay_connected(
    url: str,
    *,
    token: str | None = None,
    on_link: Callable[[Link], None] | None = None,
    give_up_after: float | None = None,
) -> AsyncIterator[SteadyClient]:
    """Connect and stay connected until the block ends; `on_link` is called at each change of the connection.

    The first connection is waited for, and its failure is raised: `OSError` when nobody listens, `ConnectionLost` and
    `HandshakeRefused` when the server does not let this client in (a server that is restarting or full is tried again).
    Later on these are raised by iteration and requests when coming back is of no use, such as with a token that was
    revoked (4401), or when there was no connection for `give_up_after` seconds (None: it is tried for ever).
    """
    client = SteadyClient(url, token=token, on_link=on_link, give_up_after=give_up_after)
    keeping = asyncio.create_task(client.keep())
    try:
        await client.opened()
        yield client
        await client.acknowledge()
    finally:
        await _ended(keeping)


async def _ended(keeping: asyncio.Task[None]) -> None:
    """Cancel the task and wait for its end; a server that does not answer the close is not waited for."""
    keeping.cancel()
    await asyncio.wait({keeping}, timeout=CLOSE_SECONDS)
    keeping.cancel()
    (failure,) = await asyncio.gather(keeping, return_exceptions=True)
    if isinstance(failure, Exception):
        raise failure


def _granted(reply: ServerFrame) -> ServerFrame:
    if reply.is_refusal:
        raise RequestRefused(reply)
    return reply
