"""A TCP connection as long as it speaks HTTP: what is too large is refused in words, and a request has its time."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import daphne.server  # noqa: F401  first of all: it installs the reactor that everything else from Twisted binds to
from twisted.web.http import HTTPChannel

from agents.hosting.flow_control import Gate, buffered_by_twisted
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode

logger = logging.getLogger("myagent.server")

REQUEST_SECONDS = 60
"""Seconds from the first byte of a request to its last one, and of silence before that. A body may take as long again
as often as this brings `LEAST_BYTES` of it, up to `MOST_PERIODS` in all.
"""
LEAST_BYTES = 1_000_000
"""133 kbit/s, for the uploads of those who have a slow line."""
MOST_PERIODS = 15
READ_ON_SECONDS = 2
"""Seconds that a client has to read why it is refused, before the connection is cut while it may still be sending."""
MAX_BODY_BYTES = 16 * 1024 * 1024
_TOO_LARGE = b"431 Request Header Fields Too Large"
_TOO_LONG = b"414 URI Too Long"
_BODY_TOO_LARGE = b"413 Content Too Large"


class AgentHTTPChannel(HTTPChannel):
    """Twisted's own answers nothing, or 400, when the headers exceed its limits, and begins to wait again with each
    byte, and so for ever for one byte now and then.
    """

    transport: Any
    max_body_bytes = MAX_BODY_BYTES
    max_text_bytes: int | None = None
    """Of a body that has no files; of a longer one the rest is dropped, and whoever reads it refuses it."""
    _is_refused = False
    _is_receiving = False
    _body_bytes = 0
    """Since the time was last prolonged."""
    _periods = 1

    def __init__(self) -> None:
        super().__init__()
        self._taken = Gate(is_open=True)

    def pauseProducing(self) -> None:
        """The client reads more slowly than it is answered: there is as much for it as should wait."""
        super().pauseProducing()
        self._taken.close()

    def resumeProducing(self) -> None:
        """The client has taken what waited for it."""
        super().resumeProducing()
        self._taken.open()

    def connectionLost(self, reason: Any) -> None:
        """The client is gone, and takes nothing more."""
        super().connectionLost(reason)
        self._taken.open()

    async def taken(self, seconds: float) -> bool:
        """Return once there is room for more of an answer; False when the client has read nothing for so long."""
        unsent = None
        while unsent is None or buffered_by_twisted(self.transport) < unsent:
            unsent = buffered_by_twisted(self.transport)
            try:
                async with asyncio.timeout(seconds):
                    await self._taken.wait()
                return True
            except TimeoutError:
                continue  # a slow line takes its time for what is large
        return False

    def resetTimeout(self) -> None:
        """Called when bytes come; only the first ones of a request count."""
        if not self._is_receiving:
            self._is_receiving = True
            super().resetTimeout()

    def requestDone(self, request: Any) -> None:
        """A request was answered; what comes next is another one."""
        self._is_receiving = False
        super().requestDone(request)

    def allContentReceived(self) -> None:
        """The request is complete."""
        self._body_bytes, self._periods = 0, 1
        super().allContentReceived()

    def timeoutConnection(self) -> None:
        """The time is over, unless a body has been coming fast enough."""
        if self._body_bytes >= LEAST_BYTES and self._periods < MOST_PERIODS:
            self._body_bytes, self._periods = 0, self._periods + 1
            self.setTimeout(self.timeOut)
            return
        if self._is_receiving:
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
        super().timeoutConnection()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes from the socket. Those of a refused client are dropped; left unread, they would cut the answer."""
        if not self._is_refused:
            super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """Take a line of the headers."""
        if not self._is_refused:
            super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:
        """Take a piece of a body."""
        if not self._is_refused:
            self._body_bytes += len(data)
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:
        """Take the body, unless it says that it is too large: then there is no need to wait for it."""
        if self.length is not None and self.length > self.max_body_bytes:
            self.refuse_body()
        else:
            super().allHeadersReceived()

    def refuse_body(self) -> None:
        """The body is larger than it may be. Pages of other origins may read that, too."""
        words = _("The request is too large: it may have %(limit)s bytes.") % {"limit": f"{self.max_body_bytes:,}"}
        body = json.dumps({"message": words, "code": ErrorCode.TOO_LARGE}, ensure_ascii=False).encode()
        headers = b"Content-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\n"
        self._refuse(_BODY_TOO_LARGE, headers, body)

    def lineLengthExceeded(self, line: bytes) -> None:
        """The line of the request, or one header, is longer than `MAX_LENGTH`."""
        self._refuse(_TOO_LARGE if self.requests else _TOO_LONG)

    def _respondToBadRequestAndDisconnect(self) -> None:
        if self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount > self.maxHeaders:
            self._refuse(_TOO_LARGE)
        else:
            super()._respondToBadRequestAndDisconnect()

    def _refuse(self, status: bytes, headers: bytes = b"", body: bytes = b"") -> None:
        if self._is_refused:
            return
        self._is_refused = True
        logger.warning(
            "Refused a request from %s with %s: %d bytes of headers, %d headers and a body of %d bytes are accepted.",
            getattr(self.transport.getPeer(), "host", "a client"),
            status.decode(),
            self.totalHeadersSize,
            self.maxHeaders,
            self.max_body_bytes,
        )
        head = b"HTTP/1.1 " + status + b"\r\n" + headers + b"Content-Length: %d\r\nConnection: close\r\n\r\n"
        self.transport.write(head % len(body) + body)
        self.setTimeout(None)
        self.transport.loseWriteConnection()
        self.callLater(READ_ON_SECONDS, self.transport.abortConnection)
