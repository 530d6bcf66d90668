"""What flows through one WebSocket connection, within limits: `Inbox` from the client, `Outbox` to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

CORK_BYTES = 65_536
"""Bytes after which an `Outbox` does not wait for more before it writes."""

Message = Mapping[str, Any]


class HostingLimits(Protocol):
    """What a server grants; `agents.conf.Config` is one."""

    @property
    def max_frame_bytes(self) -> int:
        """Bytes of the largest message that a client may send."""

    @property
    def inbound_frames(self) -> int:
        """Unhandled frames of one connection after which it is not read for a while."""

    @property
    def inbound_bytes(self) -> int:
        """Unhandled bytes of one connection after which it is not read for a while."""

    @property
    def stall_seconds(self) -> float:
        """Seconds after which a client that does not read is cut off."""

    @property
    def drain_seconds(self) -> float:
        """Seconds that running work is given to finish when the server stops."""


class Gate:
    """A door that coroutines may wait at; costs next to nothing while nobody waits, unlike `asyncio.Event`."""

    __slots__ = ("_waiting", "is_open")

    def __init__(self, *, is_open: bool) -> None:
        self.is_open = is_open
        self._waiting: list[asyncio.Future[None]] | None = None

    def open(self) -> None:
        """Let everybody pass who waits now or comes later."""
        self.is_open = True
        for future in self._waiting or ():
            if not future.done():
                future.set_result(None)

    def close(self) -> None:
        """Let everybody wait who comes later."""
        self.is_open = False

    async def passed(self) -> None:
        """Return when the gate has been opened; it may be closed again by then."""
        if self.is_open:
            return
        if self._waiting is None:
            self._waiting = []
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            self._waiting.remove(future)
            if not self._waiting:
                self._waiting = None


class Inbox:
    """A queue of ASGI messages that counts frames as unhandled until the application asks for the next one.

    It never refuses a message: who fills it looks at `is_full` and stops reading, and reads on after `on_handled` when
    there is room again. Messages that are no frames (`put_nowait`) do not count.
    """

    __slots__ = (
        "_bytes_limit",
        "_filled",
        "_frames_limit",
        "_in_hand",
        "_messages",
        "_on_handled",
        "unhandled_bytes",
        "unhandled_frames",
    )

    def __init__(self, limits: HostingLimits, on_handled: Callable[[], None]) -> None:
        self._frames_limit = limits.inbound_frames
        # The next frame must fit too: its size is not known before it is here.
        self._bytes_limit = max(limits.inbound_bytes - limits.max_frame_bytes, 0)
        self._on_handled = on_handled
        self._messages: list[tuple[Message, int | None]] = []
        self._filled = Gate(is_open=False)
        self._in_hand: int | None = None
        self.unhandled_frames = 0
        self.unhandled_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether no further frame may be put."""
        return self.unhandled_frames >= self._frames_limit or self.unhandled_bytes > self._bytes_limit

    @property
    def is_roomy(self) -> bool:
        """Whether so much has been handled that it is worth the system calls to read the socket again."""
        return self.unhandled_frames <= self._frames_limit // 2 and self.unhandled_bytes <= self._bytes_limit // 2

    def put_frame(self, message: Message, size: int) -> None:
        """Add a frame of `size` bytes."""
        self.unhandled_frames += 1
        self.unhandled_bytes += size
        self._add(message, size)

    def put_nowait(self, message: Message) -> None:
        """Add a message that is no frame, such as `websocket.connect`."""
        self._add(message, None)

    def _add(self, message: Message, size: int | None) -> None:
        self._messages.append((message, size))
        self._filled.open()

    async def get(self) -> Message:
        """The next message, as ASGI's `receive()`; the frame got before counts as handled from now on."""
        if self._in_hand is not None:
            self.unhandled_frames -= 1
            self.unhandled_bytes -= self._in_hand
            self._in_hand = None
            self._on_handled()
        while not self._messages:
            self._filled.close()
            await self._filled.passed()
        message, self._in_hand = self._messages.pop(0)
        return message


@implementer(IPushProducer)
class Outbox:
    """Writes to a Twisted TCP transport, whose producer it is; `room` is open while the client keeps up.

    Everything written in one turn of the loop leaves in one system call at the end of the turn.
    """

    __slots__ = ("_corked", "_corked_bytes", "_loop", "_progress_at", "_sent", "_transport", "_written", "room")

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.room = Gate(is_open=True)
        self._transport = transport
        self._loop = loop
        self._corked: list[bytes] | None = None
        self._corked_bytes = self._written = self._sent = 0
        self._progress_at = loop.time()
        transport.registerProducer(self, True)

    @property
    def unsent(self) -> int:
        """Bytes that the operating system has not taken yet."""
        transport = self._transport
        return int(self._corked_bytes + len(transport.dataBuffer) - transport.offset + transport._tempDataLen)

    def write(self, data: bytes) -> None:
        """Send `data` after everything before it."""
        self._written += len(data)
        self._corked_bytes += len(data)
        if self._corked is None:
            self._corked = [data]
            self._loop.call_soon(self.flush)
        else:
            self._corked.append(data)
        if self._corked_bytes > CORK_BYTES:
            self.flush()

    def write_frame(self, first_byte: int, payload: bytes) -> None:
        """Send `payload` as one unmasked frame (RFC 6455, section 5.2)."""
        size = len(payload)
        if size < 126:
            header = bytes((first_byte, size))
        elif size < 65_536:
            header = bytes((first_byte, 126)) + size.to_bytes(2, "big")
        else:
            header = bytes((first_byte, 127)) + size.to_bytes(8, "big")
        self.write(b"".join((header, payload)))

    def flush(self) -> None:
        """Give what was written to the socket now, as far as it takes it, and the rest to Twisted's buffer."""
        if self._corked is None:
            return
        corked, self._corked, self._corked_bytes = self._corked, None, 0
        data = corked[0] if len(corked) == 1 else b"".join(corked)
        transport = self._transport
        # Twisted would wait for the next turn of the loop to find out that the socket takes data, as it nearly always
        # does. Only with both halves of its buffer empty, or the order would be lost.
        if transport.connected and not (transport.dataBuffer or transport._tempDataBuffer):
            taken = transport.writeSomeData(data)
            if taken == len(data):
                return
            if isinstance(taken, int):
                data = data[taken:]
        transport.write(data)

    def stalled_for(self, now: float) -> float:
        """Seconds for which the client has taken nothing of what waits, seen from the calls of this method."""
        unsent = self.unsent
        sent = self._written - unsent
        if not unsent or sent != self._sent:
            self._sent, self._progress_at = sent, now
        return now - self._progress_at

    def pauseProducing(self) -> None:
        """Twisted's buffer is full."""
        self.room.close()

    def resumeProducing(self) -> None:
        """Twisted's buffer is empty again."""
        self.room.open()

    def stopProducing(self) -> None:
        """The connection is gone."""
        self.room.open()
