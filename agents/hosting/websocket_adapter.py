"""The parts of a WebSocket that autobahn and daphne do, with explicit phases and attributes.

- autobahn parses the handshake and the frames, keeps `state`, and calls `onConnect`, `onOpen`, `onMessage…`, `onPing`
  and `onClose`; all that it sends goes through `sendData`.
- daphne's `onConnect` has the server start an application (`create_application`), puts `websocket.connect` into the
  queue of its messages (`application_queue`) and returns `handshake_deferred`, whose result autobahn awaits.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import daphne.server  # noqa: F401  first of all: it installs the reactor that everything else from Twisted binds to
from autobahn.util import encode_truncate
from autobahn.websocket.protocol import TrafficStats
from autobahn.websocket.types import ConnectionDeny
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.defer import Deferred

from agents.hosting.asgi_types import AsgiMessage
from agents.hosting.connection_host import ConnectionHost
from agents.hosting.flow_control import Inbox, SendBuffer

NO_STATUS = 1005
"""Stands for the code of a close frame without one (RFC 6455, section 7.1.5)."""
_SENDABLE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
_TRAFFIC_STATS = TrafficStats()  # shared: autobahn counts into it, and nothing reads it
_HANDSHAKE_ONLY = (
    "_raw_query_string",
    "_results",
    "_transport_details",
    "_valid_events",
    "_wskey",
    "application_deferred",
    "clean_headers",
    "http_headers",
    "http_request_data",
    "http_request_host",
    "http_request_params",
    "http_request_path",
    "http_request_uri",
    "http_response_data",
    "http_status_line",
    "last_ping",
    "request",
    "root_path",
    "send_queue",
    "server_addr",
    "socket_opened",
    "utf8validator",
    "websocket_extensions",
    "websocket_extensions_in_use",
    "websocket_origin",
    "websocket_protocols",
    "websocket_version",
)
"""Attributes that autobahn and daphne need for the handshake, or not at all, but keep as long as the connection.

Measured with 1,500 idle connections, they hold 3.5 KiB of each, and 5 KiB with the headers that a browser sends.
"""


class Phase(Enum):
    """Where a connection stands."""

    REQUESTING = auto()
    """The HTTP request of the handshake is incomplete."""
    DECIDING = auto()
    """The application has been started and has neither accepted nor refused the connection."""
    OPEN = auto()
    """Messages go both ways."""
    CLOSING = auto()
    """A close frame has been sent; the socket is read for the client's answer, and everything else is dropped."""
    CLOSED = auto()
    """The TCP connection is gone, or ends as soon as everything written has been sent."""


_PHASES = {
    WebSocketProtocol.STATE_CONNECTING: Phase.REQUESTING,
    WebSocketProtocol.STATE_OPEN: Phase.OPEN,
    WebSocketProtocol.STATE_CLOSING: Phase.CLOSING,
    WebSocketProtocol.STATE_CLOSED: Phase.CLOSED,
}


class WebSocketAdapter(WebSocketProtocol):
    """A WebSocket that says in which `phase` it is, and reports whole messages and its end to its subclass."""

    server: ConnectionHost
    send_buffer: SendBuffer

    def __init__(self) -> None:
        super().__init__()
        # daphne's onConnect sets these four.
        self.path: bytes | None = None
        self.client_addr: list[Any] | None = None
        self.application_queue: Inbox | None = None
        self.handshake_deferred: Deferred[Any] | None = None
        """Set in `Phase.DECIDING` only."""
        self._partial_message = bytearray()

    @property
    def phase(self) -> Phase:
        """The `state` of autobahn, which does not tell whether the application is deciding on the handshake."""
        if self.handshake_deferred is not None and self.state == self.STATE_CONNECTING:
            return Phase.DECIDING
        return _PHASES[self.state]

    def message_received(self, message: AsgiMessage, size: int) -> None:
        """Called with each complete message of an open connection."""
        raise NotImplementedError

    def connection_closed(self, code: int | None, reason: str) -> None:
        """Called when the TCP connection is gone, once; `code` is what the application is told."""
        raise NotImplementedError

    # --- the handshake

    def connectionMade(self) -> None:
        """Take the transport over from Twisted's HTTP channel, which is its producer until now."""
        self.server = self.factory.server_class
        self.transport.unregisterProducer()
        self.send_buffer = SendBuffer(self.transport, self.server.loop)
        super().connectionMade()

    def accept(self, message: AsgiMessage) -> None:
        """Complete the handshake as `websocket.accept` says."""
        subprotocol = message.get("subprotocol")
        if subprotocol is not None and subprotocol not in self.websocket_protocols:
            raise ValueError(f"The client did not offer the subprotocol {subprotocol!r}.")
        headers: dict[str, list[str]] = {}
        for name, value in message.get("headers", ()):
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        self._take_deferred().callback((subprotocol, headers))

    def deny(self, status: int, reason: str) -> None:
        """Answer the handshake with an HTTP error instead of accepting it."""
        self._take_deferred().errback(ConnectionDeny(status, reason))

    def _take_deferred(self) -> Deferred[Any]:
        deferred, self.handshake_deferred = self.handshake_deferred, None
        assert deferred is not None, self.phase
        return deferred

    def onOpen(self) -> None:
        """The handshake is complete; release what only the handshake needed."""
        kept, kind = {}, type(self)
        for name, value in self.__dict__.items():
            if name in _HANDSHAKE_ONLY:
                value = None
            if value is None or value is False:
                # Most of these say that something has not happened yet: for all connections alike, on their class.
                if not hasattr(kind, name):
                    setattr(kind, name, value)
                if getattr(kind, name) is value:
                    continue
            kept[name] = value
        self.__dict__ = kept  # deleting from the old dict would not make it smaller
        self.trafficStats = _TRAFFIC_STATS

    # --- messages

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Send bytes on behalf of autobahn: the handshake's answer and control frames."""
        self.send_buffer.write(data)

    def onMessageBegin(self, isBinary: bool) -> None:
        """Start a message. It is one buffer: autobahn's lists grow without limit on empty or tiny fragments."""
        self.message_is_binary = isBinary
        self.message_data_total_length = 0

    def onMessageFrameData(self, payload: bytes) -> None:
        """Add a piece of the message."""
        if not self.failedByMe:
            self._partial_message += payload

    def onMessageFrameEnd(self) -> None:
        """Do nothing: the application receives whole messages, not fragments."""

    def onMessageEnd(self) -> None:
        """Report the complete message."""
        data, self._partial_message = self._partial_message, bytearray()
        if self.phase is not Phase.OPEN:
            return
        message: dict[str, Any] = {"type": "websocket.receive"}
        if self.message_is_binary:
            message["bytes"] = bytes(data)
        else:
            try:
                message["text"] = data.decode()
            except UnicodeDecodeError:
                self._invalid_payload("The text is not UTF-8.")
                return
        self.message_received(message, len(data))

    # --- the end

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; a client that does not complete it in time is dropped."""
        if code not in _SENDABLE_CODES and not 3000 <= code <= 4999:
            raise ValueError(f"{code} is not a close code that may be sent (RFC 6455, section 7.4).")
        # autobahn's sendClose refuses 1001, 1011, 1012 and 1013, and its encoder members of a StrEnum.
        self.sendCloseFrame(code=code, reasonUtf8=encode_truncate(str(reason), 123), isReply=False)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The TCP connection is gone; `code` is the client's, or 1006 when the closing handshake was not completed."""
        if self.closedByMe:
            code, reason = self.localCloseCode, (self.localCloseReason or b"").decode("utf-8", "replace")
        elif wasClean and code is None:
            code = NO_STATUS
        self.connection_closed(code, reason or "")
        # These refer back to this object: without them it is freed at once, not at the next garbage collection.
        self.handshake_deferred = self.application_queue = self.is_closed = None
