"""Back-pressure of one WebSocket connection: `Inbox` holds what its client sent, `SendBuffer` what it has not taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from agents.hosting.asgi_types import AsgiMessage
from agents.hosting.connection_host import HostingLimits

CORK_BYTES = 65_536
"""Bytes at which a `SendBuffer` no longer collects but writes."""


class Gate:
    """An event that coroutines wait for, like `asyncio.Event`; has no list of waiters while there are none."""

    __slots__ = ("_waiting", "is_open")

    def __init__(self, *, is_open: bool) -> None:
        self.is_open = is_open
        self._waiting: list[asyncio.Future[None]] | None = None

    def open(self) -> None:
        """Release all waiters, and let later ones pass without waiting."""
        self.is_open = True
        for future in self._waiting or ():
            if not future.done():
                future.set_result(None)

    def close(self) -> None:
        """Make later callers of `wait()` wait."""
        self.is_open = False

    async def wait(self) -> None:
        """Return once the gate has been opened; it may be closed again by then."""
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
    """The queue from a client to its application; a frame counts as unhandled until the application asks for the next.

    It never refuses a message: the connection stops reading its socket when `is_full`, and resumes once `on_handled`
    has been called and `is_roomy`. AsgiMessages that are not frames (`put_nowait`) do not count.
    """

    __slots__ = (
        "_bytes_limit",
        "_filled",
        "_frames_limit",
        "_handling",
        "_messages",
        "_on_handled",
        "unhandled_bytes",
        "unhandled_frames",
    )

    def __init__(self, limits: HostingLimits, on_handled: Callable[[], None]) -> None:
        self._frames_limit = limits.inbound_frames
        # Leaves room for one more frame, because the size of the next one is not known before it has arrived.
        self._bytes_limit = max(limits.inbound_bytes - limits.max_frame_bytes, 0)
        self._on_handled = on_handled
        self._messages: list[tuple[AsgiMessage, int | None]] = []
        self._filled = Gate(is_open=False)
        self._handling: int | None = None
        self.unhandled_frames = 0
        self.unhandled_bytes = 0

    @property
    def is_full(self) -> bool:
        """True when the limits are reached: put no further frame."""
        return self.unhandled_frames >= self._frames_limit or self.unhandled_bytes > self._bytes_limit

    @property
    def is_roomy(self) -> bool:
        """True when at most half of the limits is used, so that resuming is worth the system calls."""
        return self.unhandled_frames <= self._frames_limit // 2 and self.unhandled_bytes <= self._bytes_limit // 2

    def put_frame(self, message: AsgiMessage, size: int) -> None:
        """Add a frame of `size` bytes."""
        self.unhandled_frames += 1
        self.unhandled_bytes += size
        self._add(message, size)

    def put_nowait(self, message: AsgiMessage) -> None:
        """Add a message that is not a frame, such as `websocket.connect`; daphne calls this, too."""
        self._add(message, None)

    def _add(self, message: AsgiMessage, size: int | None) -> None:
        self._messages.append((message, size))
        self._filled.open()

    async def get(self) -> AsgiMessage:
        """Return the next message, as ASGI's `receive()`; the frame returned before counts as handled from now on."""
        if self._handling is not None:
            self.unhandled_frames -= 1
            self.unhandled_bytes -= self._handling
            self._handling = None
            self._on_handled()
        while not self._messages:
            self._filled.close()
            await self._filled.wait()
        message, self._handling = self._messages.pop(0)
        return message


@implementer(IPushProducer)
class SendBuffer:
    """What is written to one client; `room` is open while the client keeps up.

    Bytes pass three buffers:

    1. ours, which collects all that is written in one turn of the event loop for a single system call at its end;
    2. Twisted's, for what the socket has not taken; Twisted sends it when the socket is writable again, and tells us,
       the transport's producer, when its buffer is full (`pauseProducing`) and when it is empty (`resumeProducing`);
    3. the kernel's, which the client empties by reading.
    """

    __slots__ = ("_collected", "_collected_bytes", "_loop", "_progress_at", "_sent", "_transport", "_written", "room")

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.room = Gate(is_open=True)
        self._transport = transport
        self._loop = loop
        self._collected: list[bytes] | None = None
        self._collected_bytes = 0
        self._written = 0
        # For stalled_for(): how many of the written bytes were sent, and when that number last changed.
        self._sent = 0
        self._progress_at = loop.time()
        transport.registerProducer(self, True)

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._collected_bytes + buffered_by_twisted(self._transport)

    def write(self, data: bytes) -> None:
        """Send `data` after everything written before, at the end of this turn of the event loop."""
        self._written += len(data)
        self._collected_bytes += len(data)
        if self._collected is None:
            self._collected = [data]
            self._loop.call_soon(self.flush)
        else:
            self._collected.append(data)
        if self._collected_bytes > CORK_BYTES:
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
        """Hand what was collected to the socket now, and what that does not take to Twisted's buffer."""
        if self._collected is None:
            return
        collected, self._collected, self._collected_bytes = self._collected, None, 0
        data = collected[0] if len(collected) == 1 else b"".join(collected)
        rest = _send_past_twisted(self._transport, data)
        if rest:
            self._transport.write(rest)

    def stalled_for(self, now: float) -> float:
        """Seconds for which bytes have been waiting and none was sent, as far as the calls of this method can tell."""
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


# The two functions below are all that knows how a Twisted transport buffers: `dataBuffer` is the piece that it is
# sending, from `offset` on, and `_tempDataBuffer` (of `_tempDataLen` bytes) the list of what was written since.


def buffered_by_twisted(transport: Any) -> int:
    """Bytes that wait in the buffer of `transport`."""
    return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)


def _send_past_twisted(transport: Any, data: bytes) -> bytes:
    """Offer `data` to the socket at once; returns what it did not take, which is for `transport.write()`.

    Twisted would wait for the next turn of the event loop to find out that the socket takes data, as it nearly always
    does. While Twisted's buffer holds anything, all of `data` is returned: it has to be sent after that.
    """
    if not transport.connected or transport.dataBuffer or transport._tempDataBuffer:
        return data
    taken = transport.writeSomeData(data)
    # An exception instead of a number says that the connection is lost; Twisted finds that out by itself.
    return data[taken:] if isinstance(taken, int) else data
