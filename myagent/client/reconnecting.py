"""The transport that reconnects by itself and resumes where it was, with nothing lost or twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from myagent.client.connection import SingleConnection
from myagent.client.cursors import Cursors
from myagent.client.errors import ClientError, ConnectionLost, FrameTooLarge, RequestRefused, granted
from myagent.client.frames import ServerFrame
from myagent.client.outbox import Outbox, Outgoing, outgoing, shows_arrival
from myagent.client.reconnect_loop import Link, ReconnectLoop
from myagent.client.unread_frames import UnreadFrames
from myagent.protocol.error_codes import CloseCode, ErrorCode

Result = TypeVar("Result")

CLOSE_SECONDS = 2.0
MAX_UNREAD = 1_000
"""Frames that are kept while no task reads them; then the connection is read no further until there is room."""
FOLLOWED_ONLY = ("user.message", "user.response", "user.cancel")


class Reconnecting:
    """The transport of `stay_connected`. All that waits raises what ended it, when it has given up."""

    ends_with_connection = False

    def __init__(
        self, url: str, *, token: str | None, on_link: Callable[[Link], None] | None, give_up_after: float | None
    ) -> None:
        self.unread = UnreadFrames()
        self._loop = ReconnectLoop(
            url, token=token, mail=self, on_link=partial(self._report, on_link), give_up_after=give_up_after
        )
        self._cursors = Cursors()
        self._outbox = Outbox()
        self._own: set[str] = set()
        """The ids of own messages, and of the steps of own answers."""
        self._acknowledged: dict[str, int] = {}
        self._room = asyncio.Event()
        self._awaited: set[asyncio.Future[Any]] = set()
        """What tasks wait for that is still to be received."""
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._error: OSError | ClientError | None = None
        self._keeping = asyncio.create_task(self._keep())

    @property
    def newest(self) -> SingleConnection:
        return self._loop.connection

    @property
    def cursors(self) -> dict[str, int]:
        return self._cursors.positions()

    # --- requests ---

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event on each connection until something shows that it arrived."""
        await self._send(self._outgoing(event, shows_arrival(event)))

    async def request(
        self, event: dict[str, Any], answered_by: Callable[[ServerFrame], bool] | None = None
    ) -> ServerFrame:
        reply: asyncio.Future[ServerFrame] = asyncio.get_running_loop().create_future()
        item = self._outgoing(event, answered_by, reply)
        try:
            await self._send(item)
            return granted(await self._wait(reply))
        except (RequestRefused, FrameTooLarge):
            self._own.discard(item.own_id)
            raise
        finally:
            self._outbox.drop(item)

    async def resume(self, session_id: str, last_seq: int) -> ServerFrame:
        if session_id in self._cursors:
            raise ValueError(f"{session_id!r} is followed already")
        self._raise_if_over()
        self._acknowledged[session_id] = last_seq
        reply = self._cursors.add(session_id, last_seq)
        await self._loop.flush()
        notice = granted(await self._wait(reply))
        if notice.event == "agent.session_deleted":
            raise RequestRefused(notice)
        return notice

    async def acknowledge(self, session_id: str | None = None) -> None:
        """Tell the server now how far was read, and not only after a second; of all sessions at once."""
        await self._loop.acknowledge()

    def _outgoing(
        self,
        event: dict[str, Any],
        settles: Callable[[ServerFrame], bool] | None,
        reply: asyncio.Future[ServerFrame] | None = None,
    ) -> Outgoing:
        session_id = event.get("session_id")
        if event.get("event") in FOLLOWED_ONLY and session_id not in self._cursors:
            raise ValueError(f"{session_id!r} is not followed: create it with this client, or resume it first")
        self._raise_if_over()
        return outgoing(event, settles, reply, max_bytes=self.newest.max_frame_bytes)

    async def _send(self, item: Outgoing) -> None:
        self._own.add(item.own_id)
        self._outbox.put(item)
        await self._loop.flush()

    async def wait_for(self, matches: Callable[[ServerFrame], bool]) -> ServerFrame:
        frame = await self.unread.wait_for(matches, self._wait)
        self._room.set()
        return frame

    async def _wait(self, result: asyncio.Future[Result]) -> Result:
        """The result, unless this transport ends before there is one, which is raised."""
        self._raise_if_over()
        self._awaited.add(result)
        self._room.set()
        either: set[asyncio.Future[Any]] = {result, self._keeping}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._awaited.remove(result)
        if not result.done():
            self._raise_if_over()
        return result.result()

    def _raise_if_over(self) -> None:
        if self._error is not None:
            raise self._error

    # --- Mail ---

    def unsent(self, connection: int) -> Iterator[Mapping[str, Any]]:
        yield from self._cursors.unsent(connection)
        yield from self._outbox.unsent(connection)

    def acknowledgements(self) -> Iterator[Mapping[str, Any]]:
        unread = {frame.session_id: frame.seq for frame in reversed(self.unread.frames) if frame.seq is not None}
        for session_id, received in self.cursors.items():
            read = unread[session_id] - 1 if session_id in unread else received
            if self._acknowledged.get(session_id, 0) < read:
                self._acknowledged[session_id] = read
                yield {"event": "user.ack", "session_id": session_id, "last_seq": read}

    def give_up_largest(self, connection: int) -> None:
        self._outbox.give_up_largest(connection)

    async def take(self, frame: ServerFrame, connection: int) -> None:
        is_own = self._is_own(frame)
        is_news = self._cursors.take(frame, connection)
        settled = self._outbox.take(frame)
        if self._cursors.lags(frame.session_id, connection):
            raise ConnectionLost(CloseCode.RESTARTING, ErrorCode.TRY_AGAIN)  # and do it again after a pause
        if not is_news or is_own or (frame.is_refusal and any(item.is_repeated for item in settled)):
            return
        self.unread.put(frame)
        while len(self.unread.frames) >= MAX_UNREAD and all(result.done() for result in self._awaited):
            self._room.clear()
            await self._room.wait()

    def _is_own(self, frame: ServerFrame) -> bool:
        if frame.event == "user.message":
            return frame.metadata.get("message_id") in self._own
        # A live answer is somebody else's, who was quicker.
        is_old = frame.event == "user.response" and self._cursors.is_replaying(frame.session_id)
        return is_old and frame.step_id in self._own

    # --- the connection ---

    async def opened(self) -> None:
        """Wait for the first connection; raises why there will be none."""
        await self._wait(self._opened)

    async def close(self) -> None:
        """Disconnect for good; a server that does not answer the close is not waited for."""
        self._keeping.cancel()
        await asyncio.wait({self._keeping}, timeout=CLOSE_SECONDS)
        self._keeping.cancel()
        (failure,) = await asyncio.gather(self._keeping, return_exceptions=True)
        if isinstance(failure, Exception):
            raise failure

    async def _keep(self) -> None:
        """Be connected until cancelled, or until reconnecting is of no use any more."""
        error: OSError | ClientError = ConnectionLost(CloseCode.NORMAL, "this client was closed")
        try:
            await self._loop.keep()
        except (OSError, ClientError) as lost:
            error = lost
        finally:
            self._error = error

    def _report(self, on_link: Callable[[Link], None] | None, link: Link) -> None:
        if link.error is None and not self._opened.done():
            self._opened.set_result(None)
        if on_link is not None:
            on_link(link)
