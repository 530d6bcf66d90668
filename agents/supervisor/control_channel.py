"""Messages between a supervisor and a worker, as lines of JSON on a socket. Nothing here ever waits for the other."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

logger = logging.getLogger("myagent.server")

GATHER_SECONDS = 0.005
"""Wake-ups that come within this time after one go together."""
MOST_WAITING = 1_000
"""Sessions that wait to be named to somebody who does not read; of more it is only told that there were some."""
_MOST_AT_ONCE = 100
_LONGEST_LINE = 256 * 1024
_READ_BYTES = 64 * 1024

Message = dict[str, Any]


class ControlChannel:
    """One end. What it is told may be sent late, and wake-ups are merged meanwhile: the last of each session counts.

    Messages are dicts whose `is` names their kind; those of unknown kinds are for other versions, and ignored.
    """

    def __init__(self, sock: socket.socket, on_message: Callable[[Message], None]) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._on_message = on_message
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._received = bytearray()
        self._unsent = bytearray()
        self._grown: dict[str, int] = {}
        self._has_lost = False
        self._flush: asyncio.TimerHandle | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send and receive on this loop from now on."""
        self._loop = loop
        loop.add_reader(self._socket, self._read)

    def close(self) -> None:
        """Send and receive nothing more. May be called again."""
        self._is_closed = True
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._loop = None
        if self._flush is not None:
            self._flush.cancel()
        self._socket.close()

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message of this kind, after what was sent before. Before `open` it is sent at once or not at all."""
        self._unsent += json.dumps({"is": kind, **fields}).encode() + b"\n"
        self._write()

    def beat(self, **fields: Any) -> None:
        """Send a sign of life, unless others are on their way."""
        if not self._unsent:
            self.send("alive", **fields)

    def wake(self, grown: Mapping[str, int], *, more: bool = False) -> None:
        """Tell that the logs of sessions have grown, up to these numbers; a negative one is no position.

        `more`: there were others whose names were lost.
        """
        self._has_lost |= more
        for session_id, last_seq in grown.items():
            before = self._grown.get(session_id, 0)
            self._grown[session_id] = max(before, last_seq) if min(before, last_seq) >= 0 else last_seq
        while len(self._grown) > MOST_WAITING:
            del self._grown[next(iter(self._grown))]
            self._has_lost = True
        if self._flush is None and self._loop is not None:
            self._send_wakeups()

    # --- on the loop ---

    def _send_wakeups(self) -> None:
        """Send what waits, then gather for a moment what follows."""
        self._flush = None
        if self._loop is None or self._unsent or not (self._grown or self._has_lost):
            return  # what is unsent goes first, and calls this when it has gone
        grown = {session_id: self._grown[session_id] for session_id in islice(self._grown, _MOST_AT_ONCE)}
        for session_id in grown:
            del self._grown[session_id]
        has_lost, self._has_lost = self._has_lost, False
        self._flush = self._loop.call_later(GATHER_SECONDS, self._send_wakeups)
        self.send("grown", grown=grown, more=has_lost)

    def _write(self) -> None:
        if self._is_closed:
            return
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            if self._loop is not None:
                self._loop.add_writer(self._socket, self._write)
            return
        except OSError:  # the other process has ended, which is noticed elsewhere
            self.close()
            return
        if self._loop is not None:
            self._loop.remove_writer(self._socket)
        if self._flush is None:
            self._send_wakeups()

    def _read(self) -> None:
        try:
            received = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received or len(self._received) > _LONGEST_LINE:
            self.close()
            return
        *lines, rest = (self._received + received).split(b"\n")
        self._received = bytearray(rest)
        for line in lines:
            self._take(line)

    def _take(self, line: bytes | bytearray) -> None:
        try:
            message = json.loads(line)
            self._on_message(message)
        except Exception:
            # The code of agents shares the process at the other end, and may write here.
            logger.exception("A message between the supervisor and a worker cannot be used: %.100r", line)
