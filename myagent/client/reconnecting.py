"""The transport that reconnects by itself and resumes where it was, with nothing lost or twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from myagent.client.connection import SingleConnection
from myagent.client.errors import ClientError, ConnectionLost, FrameTooLarge, RequestRefused, granted
from myagent.client.exchange import Exchange
from myagent.client.frames import ServerFrame
from myagent.client.reconnect_loop import Link, ReconnectLoop
from myagent.client.unread_frames import UnreadFrames
from myagent.protocol.error_codes import CloseCode

Result = TypeVar("Result")

CLOSE_SECONDS = 2.0
MAX_UNREAD = 1_000
"""Frames that are kept while no task reads them; then the connection is read no further until there is room."""


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
        self._exchange = Exchange()
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
        return self._exchange.cursors

    # --- requests ---

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event on each connection until something shows that it arrived."""
        self._raise_if_over()
        self._exchange.put(event, max_bytes=self.newest.max_frame_bytes)
        await self._loop.flush()

    async def request(
        self, event: dict[str, Any], answered_by: Callable[[ServerFrame], bool] | None = None
    ) -> ServerFrame:
        self._raise_if_over()
        reply: asyncio.Future[ServerFrame] = asyncio.get_running_loop().create_future()
        item = self._exchange.put(event, answered_by, reply, max_bytes=self.newest.max_frame_bytes)
        try:
            await self._loop.flush()
            return granted(await self._wait(reply))
        except (RequestRefused, FrameTooLarge):
            self._exchange.disown(item)
            raise
        finally:
            self._exchange.drop(item)

    async def resume(self, session_id: str, last_seq: int) -> ServerFrame:
        self._raise_if_over()
        reply = self._exchange.follow(session_id, last_seq)
        await self._loop.flush()
        notice = granted(await self._wait(reply))
        if notice.event == "agent.session_deleted":
            raise RequestRefused(notice)
        return notice

    async def acknowledge(self, session_id: str | None = None) -> None:
        """Tell the server now how far was read, and not only after a second; of all sessions at once."""
        await self._loop.acknowledge()

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
        return self._exchange.unsent(connection)

    def acknowledgements(self) -> Iterator[Mapping[str, Any]]:
        unread = {frame.session_id: frame.seq for frame in reversed(self.unread.frames) if frame.seq is not None}
        return self._exchange.acknowledgements(
            {session_id: unread.get(session_id, last_seq + 1) - 1 for session_id, last_seq in self.cursors.items()}
        )

    def give_up_largest(self, connection: int) -> None:
        self._exchange.give_up_largest(connection)

    async def take(self, frame: ServerFrame, connection: int) -> None:
        if not self._exchange.take(frame, connection):
            return
        self.unread.put(frame)
        while len(self.unread.frames) >= MAX_UNREAD and all(result.done() for result in self._awaited):
            self._room.clear()
            await self._room.wait()

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
