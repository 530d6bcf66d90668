"""What one connection is sent, in order, as fast as its client reads: a cursor per session and a bounded buffer."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from agents.database.threads import in_thread_patiently
from myagent.i18n import gettext as _
from myagent.protocol.codec import encode
from myagent.protocol.cursor import Cursor, Delivery
from myagent.protocol.direct_events import NoticeMetadata, SessionDeleted, SystemNotice
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.server_base import ServerEvent
from sessions_app import queries
from sessions_app.delivery.hub import Hub
from sessions_app.journal.batch import Growth, Logged

logger = logging.getLogger("myagent.connections")


class Limits(Protocol):
    """What one connection may want; `agents.conf.Config` is one."""

    @property
    def max_attached(self) -> int:
        """Sessions that it may follow at once."""

    @property
    def outbound_frames(self) -> int:
        """Unsent frames after which nothing more is kept for it, and none of its requests is handled."""

    @property
    def outbound_characters(self) -> int:
        """Characters of unsent frames, likewise."""


@dataclass(slots=True)
class Attachment:
    """One session on one connection. `agent` is empty until the client is known to be allowed to use the session.

    `cursor` is None until it is known from where to send.
    """

    agent: str = ""
    cursor: Cursor | None = None
    is_behind: bool = False
    deletion_request: str | None = None
    """The `request_id` of this client's own wish to delete the session."""
    own: frozenset[int] = frozenset()
    """Events that this client sent itself, and so does not get back live."""


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

    def __init__(self, connection_id: str, hub: Hub, send: Callable[[str], Awaitable[None]], limits: Limits) -> None:
        self.connection_id = connection_id
        self._hub = hub
        self._send = send
        self._limits = limits
        # A list, since an empty deque takes 0.6 KiB and most connections are idle; it is never long.
        self._queue: list[str | _Live | _Replay] = []
        self._buffered = 0
        self._attached: dict[uuid.UUID, Attachment] = {}
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Event | None = None
        """There while the client has too much unread."""

    # --- what is put in ---

    def direct(self, event: ServerEvent, *, session_id: str | None = None, request_id: str | None = None) -> None:
        """Send an event to this connection alone."""
        self._put(encode(event, session_id=session_id, request_id=request_id))

    def heartbeat(self, frame: str, last_seqs: dict[uuid.UUID, int]) -> None:
        """Send a heartbeat unless the client is behind anyway, and make good any news that was lost."""
        for session_id, attachment in self._attached.items():
            cursor = attachment.cursor
            if cursor is not None and not self._queue and last_seqs.get(session_id, 0) > cursor.last_seq:
                attachment.is_behind = True
        if len(self._queue) < self._limits.outbound_frames:
            self._put(frame)

    async def room(self) -> None:
        """Wait until the client has read enough that another request of it may be answered."""
        if self._room is not None:
            await self._room.wait()

    def attach(self, session_id: uuid.UUID) -> None:
        """Take note of what happens in a session; nothing is sent before `follow` or `replay` says from where.

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
        attachment = self._attached.get(session_id)
        if attachment is not None and attachment.cursor is None:
            attachment.agent, attachment.cursor = agent, Cursor(last_seq)
            self._wake()

    def replay(self, session_id: uuid.UUID, agent: str, after: int, request_id: str | None) -> None:
        """Send everything after `after`, then the notice that it was all, then what comes live."""
        if (attachment := self._attached.get(session_id)) is not None:
            attachment.agent = agent
        self._put(_Replay(session_id, after, request_id))

    def attachment(self, session_id: uuid.UUID) -> Attachment | None:
        return self._attached.get(session_id)

    @property
    def attached(self) -> tuple[uuid.UUID, ...]:
        return tuple(self._attached)

    @property
    def followed(self) -> dict[uuid.UUID, str]:
        """The sessions that the client is known to be allowed to use, with their agents; it is told of no others."""
        return {key: attachment.agent for key, attachment in self._attached.items() if attachment.agent}

    # --- Subscriber ---

    def offer(self, growth: Growth) -> None:
        attachment = self._attached[growth.session_id]
        sent = attachment.cursor.last_seq if attachment.cursor is not None else 0
        size = 0
        for logged in growth.events:
            size += len(logged.frame)
            if logged.origin == self.connection_id and logged.seq > sent:
                attachment.own |= {logged.seq}
        if attachment.cursor is None or attachment.is_behind or (self._queue and self._is_full(size)):
            attachment.is_behind = True
            self._wake()
            return
        prev_seq = growth.prev_seq
        for logged in growth.events:
            self._queue.append(_Live(growth.session_id, prev_seq, logged))
            prev_seq = logged.seq
        self._buffered += size
        self._wake()

    def lag_behind(self, session_id: uuid.UUID) -> None:
        self._attached[session_id].is_behind = True
        self._wake()

    def session_deleted(self, session_id: uuid.UUID) -> None:
        attachment = self._attached[session_id]
        self.detach(session_id)
        if attachment.agent:
            deleted = SessionDeleted(content=_("The session was deleted."))
            self.direct(deleted, session_id=str(session_id), request_id=attachment.deletion_request)

    def detach(self, session_id: uuid.UUID) -> None:
        if self._attached.pop(session_id, None) is not None:
            self._hub.detach(session_id, self)

    def close(self) -> None:
        """Follow nothing any more; `run` is to be cancelled by whoever started it."""
        for session_id in self.attached:
            self.detach(session_id)

    # --- what goes out ---

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            if self._queue:
                await self._send_next()
            elif (behind := self._next_behind()) is not None:
                await self._catch_up(behind, self._attached[behind])
            else:
                self._make_room()
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter

    @property
    def is_idle(self) -> bool:
        """Whether everything that was put in has been written."""
        return not self._queue and self._next_behind() is None

    def _next_behind(self) -> uuid.UUID | None:
        behind = (key for key, value in self._attached.items() if value.is_behind and value.cursor is not None)
        return next(behind, None)

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
        if attachment is None or attachment.cursor is None:
            return
        match attachment.cursor.offer(item.prev_seq, item.logged.seq):
            case Delivery.SEND if item.logged.origin == self.connection_id:
                attachment.own -= {item.logged.seq}
            case Delivery.SEND:
                await self._send(item.logged.frame)
            case Delivery.CATCH_UP:
                attachment.is_behind = True

    async def _send_replay(self, item: _Replay) -> None:
        attachment = self._attached.get(item.session_id)
        if attachment is None:
            return
        attachment.own = frozenset()
        attachment.cursor = Cursor(item.after)
        replayed = await self._catch_up(item.session_id, attachment)
        try:
            last_seq, run_status = await in_thread_patiently(queries.end_of_log, item.session_id)
        except queries.SessionGone:
            return  # deleted meanwhile; the client is told of that
        metadata = NoticeMetadata(
            action="replay",
            replayed=replayed,
            last_seq=max(last_seq, attachment.cursor.last_seq),
            run_status=run_status,
        )
        if last_seq > attachment.cursor.last_seq:
            attachment.is_behind = True
        notice = SystemNotice(content=_("Everything was sent again."), metadata=metadata)
        await self._send(encode(notice, session_id=str(item.session_id), request_id=item.request_id))

    async def _catch_up(self, session_id: uuid.UUID, attachment: Attachment) -> int:
        """Read the log from the cursor to its end and send it; returns how many events that were."""
        cursor = attachment.cursor
        if cursor is None:
            raise RuntimeError("nothing to catch up with before the cursor is known")
        sent = 0
        while True:
            attachment.is_behind = False
            page = await in_thread_patiently(queries.events_after, session_id, cursor.last_seq)
            for seq, frame in page:
                cursor.last_seq = seq
                if seq in attachment.own:
                    attachment.own -= {seq}
                    continue
                await self._send(frame)
                sent += 1
            if len(page) < queries.REPLAY_PAGE:
                return sent

    def _is_full(self, more: int = 0) -> bool:
        """Whether the client has too much unread for `more` characters."""
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
