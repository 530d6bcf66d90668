"""HTTP requests as daphne serves them, hardened: limited bodies, one Host, no path prefix chosen by clients."""

from __future__ import annotations

from functools import partial
from typing import Any

import daphne.server  # noqa: F401  first of all: it installs the reactor that everything else from Twisted binds to
from daphne.http_protocol import HTTPFactory, WebRequest
from django.conf import settings

from agents.hosting.asgi_types import AsgiMessage
from agents.hosting.flow_control import CORK_BYTES
from agents.hosting.http_channel import MAX_BODY_BYTES, REQUEST_SECONDS, AgentHTTPChannel

_FORM_BYTES = 1024 * 1024
"""What a form has around its largest file."""


class AgentRequest(WebRequest):
    """One HTTP request, which may turn out to be the handshake of a WebSocket."""

    error_template = WebRequest.error_template.replace("Daphne", "MyAgent")
    channel: Any
    body_bytes = 0
    is_live = False
    """Whether the answer goes on until the client leaves."""

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body. Twisted itself has no limit and spools long bodies to the disk."""
        room = max(self._kept_bytes - self.body_bytes, 0)
        self.body_bytes += len(data)
        if self.body_bytes > self.channel.max_body_bytes:
            self.channel.refuse_body()
        elif room:
            super().handleContentChunk(data[:room])

    @property
    def _kept_bytes(self) -> int:
        """So much of the body counts: of one without files as much as shows that it is too large, if it is."""
        kind = self.requestHeaders.getRawHeaders(b"content-type", [b""])[0]
        limit: int = self.channel.max_body_bytes
        text: int | None = self.channel.max_text_bytes
        has_files = kind.lower().startswith(b"multipart/form-data")
        return limit if has_files or text is None else min(limit, text + 1)

    def process(self) -> object:
        """Hand the complete request to the application, or its connection to the WebSocket protocol."""
        if self.body_bytes > self.channel.max_body_bytes:
            return None
        if len(self.requestHeaders.getRawHeaders(b"host", [])) > 1:
            self.channel.persistent = False
            self.basic_error(400, b"Bad Request", "More than one Host header")
            return None
        # daphne would let any client choose the path at which the application is mounted.
        self.requestHeaders.removeHeader(b"daphne-root-path")
        result = super().process()
        if self.transport is None:
            self._detach_from_channel()
        return result

    def _detach_from_channel(self) -> None:
        """Break the reference cycle with the HTTP channel after an upgrade, so that both are freed at once."""
        self.channel.requests.clear()
        self.channel = None

    async def reply(self, message: AsgiMessage, stall_seconds: float) -> None:
        """Write a part of the answer. Returns when there is room for the next one, which would wait in memory.

        A client that reads nothing for `stall_seconds` is cut off.
        """
        if len(message.get("body", b"")) > CORK_BYTES and not message.get("more_body"):
            # The end goes by itself: with it the answer would be over, and nobody look whether it is read.
            if not await self._write({**message, "more_body": True}, stall_seconds):
                return
            message = {**message, "body": b""}
        await self._write(message, stall_seconds)

    async def _write(self, message: AsgiMessage, stall_seconds: float) -> bool:
        """Whether the client goes on to read."""
        if message["type"] == "http.response.start":
            self.is_live = any(is_event_stream(name, value) for name, value in message.get("headers", ()))
        self.handle_reply(message)
        if self.finished or self.channel is None:
            return True
        channel = self.channel
        if not await channel.taken(stall_seconds):
            channel.forceAbortClient()
            return False
        return True

    def restart(self) -> None:
        """End a live answer because the server ends: what was written is sent, and then the connection is broken.

        With an end of the answer, some clients would take what they have for all, and not come back.
        """
        if not self.finished and self.channel is not None:
            self.channel.loseConnection()

    def handle_exception(self, exception: BaseException) -> None:
        """Tell the client that the application failed: by an error page, or by an abort if a response has begun."""
        if self.finished or self.channel is None:
            return
        if self._response_started:
            self.channel.forceAbortClient()
        else:
            super().handle_exception(exception)

    def application_returned(self) -> None:
        """The application has ended; without a complete response that is its error."""
        self.handle_exception(RuntimeError("The application returned without a complete response."))


def is_event_stream(name: bytes, value: bytes) -> bool:
    """Whether this header says that the answer is one of server-sent events."""
    return name.lower() == b"content-type" and value.startswith(b"text/event-stream")


class AgentHTTPFactory(HTTPFactory):
    """Makes the HTTP side of a connection."""

    protocol = AgentHTTPChannel

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.timeOut = REQUEST_SECONDS

    def buildProtocol(self, addr: object) -> object:
        """A channel whose requests are `AgentRequest`."""
        channel = super().buildProtocol(addr)
        channel.max_body_bytes = max(MAX_BODY_BYTES, self.server.limits.max_file_bytes + _FORM_BYTES)
        text = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if text is not None:  # without a limit nobody would refuse what was cut off
            channel.max_text_bytes = max(text, self.server.limits.max_frame_bytes)
        # Twisted would read the forms itself, which nobody asks it for: whole in memory, and on the event loop.
        channel.requestFactory = partial(AgentRequest, parsePOSTFormSubmission=False)
        return channel

    def log(self, request: object) -> None:
        """Do nothing: the lines of Twisted's own access log contain queries, and those contain tokens."""
