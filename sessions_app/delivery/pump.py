"""Sends one connection its events, in order, as fast as its client reads: a cursor per session, a bounded buffer."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from agents.database.threads import in_thread_patiently
from agents.metrics import measures
from myagent.i18n import gettext as _
from myagent.i18n import speaking
from myagent.protocol.codec import encode, name_of
from myagent.protocol.cursor import Cursor, Delivery
from myagent.protocol.direct_events import NoticeMetadata, SessionDeleted, SystemNotice
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.server_base import ServerEvent
from sessions_app import queries
from sessions_app.delivery import log_pages
from sessions_app.delivery.attachment import Attachment, Behind, Following
from sessions_app.delivery.connection_limits import ConnectionLimits
from sessions_app.delivery.hub import Hub
from sessions_app.delivery.queued_notice import queued_notice
from sessions_app.journal.log import Growth, Logged
from sessions_app.run_queue import Place


@dataclass(frozen=True, slots=True)
class _Live:
    session_id: uuid.UUID
    prev_seq: int
    logged: Logged


@dataclass(frozen=True, slots=True)
class _Replay:
    session_id: uuid.UUID
    after: int
    request_id: str | None


class Pump:
    """Lives on the event loop. `send` writes one frame and returns when the socket has room for more."""

    language: str | None = None
    """The one that the client asked for."""
    rested: Callable[[], Awaitable[None]] | None = None
    """Called whenever everything has been sent that there is."""

    def __init__(
        self, connection_id: str, hub: Hub, send: Callable[[str], Awaitable[None]], limits: ConnectionLimits
    ) -> None:
        self.connection_id = connection_id
        self._hub = hub
        self._send = send
        self._limits = limits
        # A list: it is never long, an empty deque takes 0.6 KiB, and most connections are idle.
        self._queue: list[str | _Live | _Replay] = []
        self._buffered = 0
        self._attached: dict[uuid.UUID, Attachment] = {}
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Event | None = None
        """Set when the client has read enough; there only while it has too much unread."""
        self.requesting = asyncio.Lock()
        """Held while a request of this connection is handled: what it causes may be in the log before it is offered,
        and only by the offer is it known to be the connection's own."""

    # --- requests of the consumer and the engine ---

    def direct(self, event: ServerEvent, *, session_id: str | None = None, request_id: str | None = None) -> None:
        """Send an event to this connection alone."""
        self._put(encode(event, session_id=session_id, request_id=request_id))

    def say(self, make: Callable[[], ServerEvent], session_id: str | None = None, request: str | None = None) -> None:
        """The same from outside of this connection, where its language is not spoken."""
        with speaking(self.language):
            self.direct(make(), session_id=session_id, request_id=request)

    def heartbeat(self, frame: str, last_seqs: dict[uuid.UUID, int]) -> None:
        """Send a heartbeat unless the client is behind anyway, and catch up with what no wake-up told of."""
        for session_id, attachment in self._attached.items():
            cursor = attachment.state.cursor
            if cursor is not None and not self._queue and last_seqs.get(session_id, 0) > cursor.last_seq:
                attachment.miss()
        if len(self._queue) < self._limits.outbound_frames:
            self._put(frame)

    async def room(self) -> None:
        """Wait until the client has read enough for another of its requests to be answered."""
        if self._room is not None:
            await self._room.wait()

    def attach(self, session_id: uuid.UUID) -> None:
        """Subscribe to a session; nothing is sent of it before `follow` or `replay` says from where.

        Raises `ProtocolError` when this connection is attached to too many already.
        """
        if session_id not in self._attached:
            if len(self._attached) >= (limit := self._limits.max_attached):
                words = _("This connection follows %(limit)d sessions already. Open another connection for more.")
                raise ProtocolError(ErrorCode.TOO_MANY_SESSIONS, words % {"limit": limit}, limit=limit)
            self._attached[session_id] = Attachment()
            self._hub.attach(session_id, self)

    def follow(self, session_id: uuid.UUID, agent: str, last_seq: int) -> None:
        """Send what comes after `last_seq`, unless this session is followed already."""
        if (attachment := self._attached.get(session_id)) is not None:
            attachment.follow(agent, last_seq)
            self._wake()

    def replay(self, session_id: uuid.UUID, agent: str, after: int, request_id: str | None) -> None:
        """Send everything after `after`, then the notice that this was all, then live events."""
        if (attachment := self._attached.get(session_id)) is not None:
            attachment.await_replay(agent)
        self._put(_Replay(session_id, after, request_id))

    def attachment(self, session_id: uuid.UUID) -> Attachment | None:
        return self._attached.get(session_id)

    @property
    def attached(self) -> tuple[uuid.UUID, ...]:
        return tuple(self._attached)

    @property
    def followed(self) -> dict[uuid.UUID, str]:
        """The sessions that the client is known to be allowed to use, with their agents."""
        return {key: attachment.agent for key, attachment in self._attached.items() if attachment.agent}

    # --- Subscriber ---

    def offer(self, growth: Growth) -> None:
        attachment = self._attached[growth.session_id]
        size = 0
        for logged in growth.events:
            size += len(logged.frame)
            if logged.origin == self.connection_id:
                attachment.add_own(logged.seq)
        if not isinstance(attachment.state, Following) or (self._queue and self._is_full(size)):
            attachment.miss()
            self._wake()
            return
        prev_seq = growth.prev_seq
        for logged in growth.events:
            self._queue.append(_Live(growth.session_id, prev_seq, logged))
            prev_seq = logged.seq
        self._buffered += size
        self._wake()

    def lag_behind(self, session_id: uuid.UUID) -> None:
        self._attached[session_id].miss()
        self._wake()

    def session_deleted(self, session_id: uuid.UUID) -> None:
        attachment = self._attached[session_id]
        self.detach(session_id)
        if attachment.agent:
            self.say(_deleted, str(session_id), attachment.deletion_request)

    def tell_place(self, session_id: uuid.UUID, place: Place | None) -> None:
        attachment = self._attached[session_id]
        if not attachment.agent or place == attachment.place:
            return
        attachment.place = place
        if place is not None:
            self.say(partial(queued_notice, place), str(session_id))

    def detach(self, session_id: uuid.UUID) -> None:
        if self._attached.pop(session_id, None) is not None:
            self._hub.detach(session_id, self)

    def close(self) -> None:
        """Detach from all sessions; `run` has to be cancelled by its caller."""
        for session_id in self.attached:
            self.detach(session_id)

    # --- sending ---

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            if self._queue:
                await self._send_next()
            elif (behind := self._next_behind()) is not None:
                await self._catch_up(*behind)
            else:
                self._make_room()
                if self.rested is not None:
                    await self.rested()
                    if not self.is_idle:
                        continue
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter

    @property
    def is_idle(self) -> bool:
        """Whether everything that was queued has been sent."""
        return not self._queue and self._next_behind() is None

    def _next_behind(self) -> tuple[uuid.UUID, Attachment, Cursor] | None:
        for session_id, attachment in self._attached.items():
            if isinstance(attachment.state, Behind):
                return session_id, attachment, attachment.state.cursor
        return None

    async def _send_next(self) -> None:
        item = self._queue[0]
        match item:
            case str():
                await self._send(item)
                self._buffered -= len(item)
            case _Live():
                await self._send_live(item)
                self._buffered -= len(item.logged.frame)
            case _Replay():
                await self._send_replay(item)
        self._queue.pop(0)
        if len(self._queue) < self._limits.outbound_frames // 2:
            self._make_room()

    async def _send_live(self, item: _Live) -> None:
        attachment = self._attached.get(item.session_id)
        if attachment is None or (cursor := attachment.state.cursor) is None:
            return
        match cursor.offer(item.prev_seq, item.logged.seq):
            case Delivery.SEND if item.logged.origin == self.connection_id:
                attachment.take_own(item.logged.seq)
            case Delivery.SEND:
                await self._send(item.logged.frame)
                measures.EVENTS_SENT.add("live")
            case Delivery.CATCH_UP:
                attachment.miss()

    async def _send_replay(self, item: _Replay) -> None:
        attachment = self._attached.get(item.session_id)
        if attachment is None or (cursor := attachment.start_replay(item.after)) is None:
            return
        began, replayed = time.monotonic(), 0
        try:
            for _again in range(9):  # enough for every run that ends, and an end to a log that lacks its last events
                replayed += await self._catch_up(item.session_id, attachment, cursor)
                last_seq, run_status = await in_thread_patiently(queries.end_of_log, item.session_id)
                if run_status != "idle" or last_seq <= cursor.last_seq:
                    break  # whoever is told that no run goes on has been sent how the last one ended
        except queries.SessionGone:
            return  # deleted meanwhile; the client is notified of that
        measures.REPLAY_DURATION.observe(time.monotonic() - began)
        end = max(last_seq, cursor.last_seq)
        metadata = NoticeMetadata(action="replay", replayed=replayed, last_seq=end, run_status=run_status)
        if last_seq > cursor.last_seq:
            attachment.miss()
        notice = SystemNotice(content=_("Everything was sent again."), metadata=metadata)
        await self._send(encode(notice, session_id=str(item.session_id), request_id=item.request_id))

    async def _catch_up(self, session_id: uuid.UUID, attachment: Attachment, cursor: Cursor) -> int:
        """Read the log from the cursor to its end and send it; returns how many events were sent."""
        sent = 0
        while True:
            attachment.start_reading()
            page = await in_thread_patiently(log_pages.events_after, session_id, cursor.last_seq)
            for seq, frame in page.events:
                if self.requesting.locked() and name_of(frame).startswith("user."):
                    async with self.requesting:
                        pass
                cursor.last_seq = seq
                if not attachment.take_own(seq):
                    await self._send(frame)
                    sent += 1
            if page.is_last:
                measures.EVENTS_SENT.add("replay", count=sent)
                return sent

    def _is_full(self, more: int = 0) -> bool:
        """Whether the client has too much unread to queue `more` characters."""
        limits = self._limits
        return len(self._queue) >= limits.outbound_frames or self._buffered + more > limits.outbound_characters

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    def _put(self, item: str | _Replay) -> None:
        self._queue.append(item)
        if isinstance(item, str):
            self._buffered += len(item)
        if self._is_full():
            self._room = self._room or asyncio.Event()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _deleted() -> ServerEvent:
    return SessionDeleted(content=_("The session was deleted."))
