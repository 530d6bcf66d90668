"""The log of a session as an answer over HTTP that goes on: the pump of a WebSocket, written in the form of a door."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from agents.access.decision import Grant
from agents.metrics import measures
from agents.web.live_answers import Write
from myagent.protocol.codec import event_id_of, is_logged, name_of
from myagent.protocol.error_codes import CloseCode
from sessions_app import queries
from sessions_app.delivery.error_details import may_read_details, with_details
from sessions_app.delivery.pump import Pump
from sessions_app.engine import Engine
from sessions_app.services.caller import Caller
from sessions_app.upkeep.access_watch import Budget
from sessions_app.upkeep.gauges import SSE

logger = logging.getLogger("myagent.connections")

KEEP_ALIVE_SECONDS = 15.0
"""Proxies cut what is silent for longer, some after 30 s."""


class StreamForm(Protocol):
    """How a door writes the events of a session."""

    door: str
    """Its label in metrics."""
    beginning: bytes
    """What is written at once, so that proxies pass the headers on."""
    keep_alive: bytes
    """What its clients ignore."""

    async def written(self, frame: str) -> bytes:
        """An event, as the WebSocket would send it; nothing for one that the door does not tell."""
        ...

    def is_last(self, frame: str) -> bool:
        """Whether nothing more comes after this event."""
        ...

    async def rested(self, is_idle: Callable[[], bool]) -> bytes:
        """The end of the answer, where the next thing is the client's to do; nothing where it goes on.

        It is asked whenever everything was written that there is; `is_idle` says whether that is still so.
        """
        return b""


class ServerSentEvents(StreamForm):
    """Our own events in the format of https://html.spec.whatwg.org/multipage/server-sent-events.html.

    Of a logged event the `id` is its `event_id`; the others have none, so that a client which resumes misses nothing.
    The names of events are inside the data: with `event:` a browser would need a listener for each. Blank lines end
    events, and stand nowhere else: `httpx-sse` would make empty events of them.
    """

    door = SSE
    beginning = b"retry: 1000\n"
    keep_alive = b":\n"

    async def written(self, frame: str) -> bytes:
        # JSON has no line breaks outside of its strings, and those inside are escaped.
        head = f"id: {event_id_of(frame)}\n" if is_logged(frame) else ""
        return f"{head}data: {frame}\n\n".encode()

    def is_last(self, frame: str) -> bool:
        return name_of(frame) == "agent.session_deleted"


class _Over(Exception):
    """The last event was written."""


class EventStream:
    """A connection by which one caller follows one session. Closing it cancels no run.

    It counts among the connections of its process, is sent heartbeats, and ends when what let it in is not valid any
    more; a client that does not read gets what it missed from the log, and is cut off after a while.
    """

    notified_until: Mapping[Budget, datetime] = MappingProxyType({})

    def __init__(
        self, engine: Engine, caller: Caller, form: StreamForm, session: queries.SessionFacts, *, language: str | None
    ) -> None:
        self.door = form.door
        self.grant = caller.grant
        self.pump = Pump(caller.connection_id, engine.hub, self._send, engine.config)
        self.pump.language = language
        self.pump.rested = self._rested
        self._engine = engine
        self._form = form
        self._session = session
        self._seconds = min(KEEP_ALIVE_SECONDS, engine.config.heartbeat_seconds)
        self._heartbeat_at = asyncio.get_running_loop().time() + self._seconds
        self._tells_details = may_read_details(caller.grant, engine.config)
        self._write: Write | None = None
        self._pumping: asyncio.Task[None] | None = None
        self._close_code = CloseCode.NORMAL
        self.pump.attach(session.id)

    def begin(self, after: int) -> None:
        """Be one of the connections of this process, and have everything sent that comes after `after`."""
        self.pump.replay(self._session.id, self._session.agent, after, None)
        self._engine.connections.add(self)

    # --- LiveAnswer ---

    async def run(self, write: Write) -> bool:
        """Send until the session is deleted, which is the end, or until this connection is to be broken."""
        if self._close_code != CloseCode.NORMAL:
            return False  # revoked meanwhile
        self._write = write
        await write(self._form.beginning)
        self._pumping = asyncio.create_task(self.pump.run())
        try:
            await self._pumping
        except _Over:
            return True
        except asyncio.CancelledError:
            if self._close_code == CloseCode.NORMAL:
                raise
        except Exception:
            self._close_code = CloseCode.SERVER_FAULT
            logger.exception(
                "Sending to connection %s failed; breaking it. The client may reconnect.", self.pump.connection_id
            )
        return False

    def close(self) -> None:
        """Follow the session no more."""
        if self in self._engine.connections or self._write is not None:
            measures.CONNECTIONS_CLOSED.add(self.door, measures.close_code(self._close_code))
        self._engine.connections.discard(self)
        self.pump.close()

    async def _send(self, frame: str) -> None:
        assert self._write is not None
        if frame == "":
            return await self._write(self._form.keep_alive)
        if self._tells_details:
            frame = await with_details(frame)
        await self._write_counted(await self._form.written(frame))
        if self._form.is_last(frame):
            raise _Over
        return None

    async def _rested(self) -> None:
        if end := await self._form.rested(lambda: self.pump.is_idle):
            await self._write_counted(end)
            raise _Over

    async def _write_counted(self, data: bytes) -> None:
        if data:
            assert self._write is not None
            measures.SENT_BYTES.add(self.door, count=len(data))
            await self._write(data)

    # --- Connection, for the engine ---

    @property
    def agents_in_use(self) -> set[str]:
        return {self._session.agent}

    def regrant(self, grant: Grant) -> None:
        self.grant = grant

    def heartbeat_is_due(self, now: float) -> bool:
        return now >= self._heartbeat_at

    def heartbeat(self, last_seqs: dict[uuid.UUID, int]) -> None:
        self._heartbeat_at = asyncio.get_running_loop().time() + self._seconds
        self.pump.heartbeat("", last_seqs)

    async def revoke(self) -> None:
        self._close_code = CloseCode.UNAUTHENTICATED
        self._engine.connections.discard(self)
        logger.warning("Closed the connection of %s: its credentials are no longer valid.", self.grant.username)
        if self._pumping is not None:
            self._pumping.cancel()
