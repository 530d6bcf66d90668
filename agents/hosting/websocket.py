"""One WebSocket connection: daphne's protocol with flow control both ways, real close codes and a small footprint."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import daphne.server  # noqa: F401  first of all: it installs the reactor that everything else from Twisted binds to
from autobahn.util import encode_truncate
from autobahn.websocket.protocol import TrafficStats
from autobahn.websocket.types import ConnectionDeny
from daphne.ws_protocol import WebSocketProtocol

from agents.hosting.flow_control import Inbox, Outbox

if TYPE_CHECKING:
    from agents.hosting.daphne_server import AgentServer

logger = logging.getLogger("myagent.server")

NORMAL, INTERNAL_ERROR, SERVICE_RESTART, NO_STATUS, STALLED = 1000, 1011, 1012, 1005, 4408
RESTARTING = 503, "Service restart"
CLOSE_SECONDS = 5
"""Seconds that a client has to complete the closing handshake, or to take what was sent before it."""

_TEXT, _BINARY = 0x81, 0x82
_SENDABLE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
# What only the handshake needs, or nothing at all; autobahn and daphne keep it as long as the connection.
_DISPENSABLE = {
    "application_deferred",
    "clean_headers",
    "protocol_to_accept",
    "request",
    "send_queue",
    "trafficStats",
    "utf8validator",
    "websocket_extensions",
    "websocket_extensions_in_use",
    "websocket_protocols",
    "_raw_query_string",
    "_wskey",
}


class AgentWebSocket(WebSocketProtocol):
    """A WebSocket whose application waits for the client with `send`, and whose client waits for the application."""

    # autobahn copies every option into every connection; `websocket_factory` puts them on a class instead.
    CONFIG_ATTRS = ()
    trafficStats = TrafficStats()  # one for all: nobody reads it

    muted: bool
    server: AgentServer
    application_queue: Inbox

    # --- opening

    def connectionMade(self) -> None:
        """Take the transport over from Twisted's HTTP channel, which still paces it."""
        self.server = self.factory.server_class
        self._reading_held = self._pinged = False
        self._assembly = bytearray()
        self._heard_at = self.server.loop.time()
        self.transport.unregisterProducer()
        self.outbox = Outbox(self.transport, self.server.loop)
        super().connectionMade()

    def onConnect(self, request: Any) -> Any:
        """Start an application for a complete handshake; the result fires when it accepts or refuses."""
        if self.server.is_closing:
            raise ConnectionDeny(*RESTARTING)
        return super().onConnect(request)

    def new_inbox(self) -> Inbox:
        """Where this connection's messages to the application go."""
        return Inbox(self.server.limits, on_handled=self._read_on)

    def onOpen(self) -> None:
        """The handshake is done; forget what it needed."""
        self._log_action("connected", status=101)
        self._transport_details = None
        kept = {name: value for name, value in self.__dict__.items() if name not in _DISPENSABLE}
        self.__dict__ = {name: value for name, value in kept.items() if not name.startswith("http_")}

    def _accept(self, message: Mapping[str, Any]) -> None:
        subprotocol = message.get("subprotocol")
        if subprotocol is not None and subprotocol not in self.websocket_protocols:
            raise ValueError(f"The client did not offer the subprotocol {subprotocol!r}.")
        headers: dict[str, list[str]] = {}
        for name, value in message.get("headers", ()):
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        self.__dict__.pop("handshake_deferred").callback((subprotocol, headers))

    def deny(self, status: int, reason: str) -> None:
        """Answer the handshake with an HTTP error instead of accepting it."""
        self._log_action("rejected", status=status)
        self.__dict__.pop("handshake_deferred").errback(ConnectionDeny(status, reason))

    # --- sending

    async def send_asgi(self, message: Mapping[str, Any]) -> None:
        """ASGI's `send`: returns when there was room for the message, or quietly when the connection is gone."""
        if self.state == self.STATE_CLOSED:
            return
        match message["type"]:
            case "websocket.send":
                await self._send_frame(message.get("text"), message.get("bytes"))
            case "websocket.accept" if self.state == self.STATE_CONNECTING:
                self._accept(message)
            case "websocket.close" if self.state == self.STATE_CONNECTING:
                self.deny(403, "Access denied")
            case "websocket.close":
                self.close(message.get("code") or NORMAL, message.get("reason") or "")
            case unexpected:
                raise ValueError(f"{unexpected!r} cannot be sent now.")

    async def _send_frame(self, text: str | None, data: bytes | None) -> None:
        if self.state == self.STATE_CONNECTING:
            raise ValueError("'websocket.send' cannot be sent now. Send 'websocket.accept' first.")
        if text is not None and data is None:
            first_byte, payload = _TEXT, text.encode()
        elif data is not None and text is None:
            first_byte, payload = _BINARY, data
        else:
            raise ValueError("'websocket.send' needs either text or bytes.")
        while self.state == self.STATE_OPEN:
            if self.outbox.room.is_open:
                self.outbox.write_frame(first_byte, payload)
                return
            await self.outbox.room.passed()

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Send bytes on behalf of autobahn: the handshake's answer and control frames."""
        self.outbox.write(data)

    # --- receiving

    def dataReceived(self, data: bytes) -> None:
        """Take bytes from the socket; any of them shows that the client lives."""
        self._heard_at = self.server.loop.time()
        self._pinged = False
        self.data += data
        self.consumeData()

    def consumeData(self) -> None:
        """Handle what has been received, frame by frame, up to the limits of the inbox."""
        if self.state == self.STATE_CONNECTING:
            self.processHandshake()
            return
        while self.state == self.STATE_CLOSING or (self.state == self.STATE_OPEN and not self._hold_reading()):
            if not self.processData():
                return

    def _hold_reading(self) -> bool:
        if not self._reading_held and self.application_queue.is_full:
            self._reading_held = True
            self.transport.pauseProducing()
        return self.application_queue.is_full

    def _read_on(self) -> None:
        """The application has handled a frame."""
        if not self._reading_held:
            return
        self.consumeData()
        if self.state != self.STATE_OPEN or self.application_queue.is_roomy:
            self._reading_held = False
            self._heard_at = self.server.loop.time()  # its pongs waited with the rest
            self.transport.resumeProducing()

    def onMessageBegin(self, isBinary: bool) -> None:
        """Start a message. One buffer: autobahn's lists grow without end on empty or tiny fragments."""
        self.message_is_binary = isBinary
        self.message_data_total_length = 0

    def onMessageFrameData(self, payload: bytes) -> None:
        """Add a piece of the message."""
        if not self.failedByMe:
            self._assembly += payload

    def onMessageFrameEnd(self) -> None:
        """Nothing: fragments are of no interest."""

    def onMessageEnd(self) -> None:
        """Queue the complete message for the application."""
        data, self._assembly = self._assembly, bytearray()
        if self.state != self.STATE_OPEN:
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
        self.application_queue.put_frame(message, len(data))

    def onPing(self, payload: bytes) -> None:
        """Answer a ping, unless the answers to earlier ones still wait for the client to read."""
        if self.outbox.room.is_open:
            self.sendPong(payload)

    # --- watching

    def check_timeouts(self) -> None:
        """Called about once a second: cuts a client that does not read, pings a silent one, drops a dead one."""
        now = self.server.loop.time()
        if self.state == self.STATE_CONNECTING:
            if now - self._heard_at > self.server.websocket_connect_timeout and hasattr(self, "handshake_deferred"):
                self.deny(503, "Service unavailable")
        elif self.state == self.STATE_OPEN:
            if self.outbox.stalled_for(now) > self.server.limits.stall_seconds:
                self._cut_stalled()
            elif not (self.outbox.unsent or self._reading_held):  # else a ping or its answer would be stuck, too
                self._check_silence(now)

    def _cut_stalled(self) -> None:
        logger.info("%r has read nothing for %g s and is cut off.", self, self.server.limits.stall_seconds)
        self.close(STALLED, "not reading")
        self._tell_disconnected(STALLED, "not reading")

    def _check_silence(self, now: float) -> None:
        silence = now - self._heard_at
        if silence > self.server.ping_interval + self.server.ping_timeout:
            self.wasNotCleanReason = "no pong"
            self.dropConnection(abort=True)
        elif silence > self.server.ping_interval and not self._pinged:
            self._pinged = True
            self.sendPing()

    # --- closing

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; a client that does not complete it within `CLOSE_SECONDS` is dropped."""
        if code not in _SENDABLE_CODES and not 3000 <= code <= 4999:
            raise ValueError(f"{code} is not a close code that may be sent (RFC 6455, section 7.4).")
        # autobahn's sendClose refuses 1001, 1011, 1012 and 1013, and its encoder members of a StrEnum.
        self.sendCloseFrame(code=code, reasonUtf8=encode_truncate(str(reason), 123), isReply=False)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Send a close frame; whoever waits for room is released, and the client is read for its answer."""
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self.outbox.room.open()
        self._read_on()

    def end(self, code: int, reason: str, *, refusal: tuple[int, str]) -> None:
        """Close the connection, or refuse it by an HTTP status when it has not been accepted yet."""
        if hasattr(self, "handshake_deferred"):
            self.deny(*refusal)
        elif self.state == self.STATE_OPEN:
            self.close(code, reason)

    def restart(self) -> None:
        """Tell the client that the server goes away and that it may come back."""
        self.end(SERVICE_RESTART, "service restart", refusal=RESTARTING)

    def handle_exception(self, exception: BaseException) -> None:
        """The application has failed."""
        self.end(INTERNAL_ERROR, "internal error", refusal=(500, "Internal server error"))

    def application_returned(self) -> None:
        """The application has ended; without a decision on the handshake that is its fault."""
        self.end(NORMAL, "", refusal=(500, "Internal server error"))

    def dropConnection(self, abort: bool = False) -> None:
        """End the TCP connection: orderly after a complete closing handshake, but never waiting for long."""
        self.outbox.flush()
        if not abort or self.wasClean:
            abort = False
            if self.outbox.unsent:
                self.server.loop.call_later(CLOSE_SECONDS, self.transport.abortConnection)
        super().dropConnection(abort)
        self.outbox.room.open()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The TCP connection is gone."""
        if self.closedByMe:
            code, reason = self.localCloseCode, (self.localCloseReason or b"").decode("utf-8", "replace")
        elif wasClean and code is None:
            code = NO_STATUS
        self.outbox.room.open()
        self._tell_disconnected(code, reason)
        self._log_action("disconnected", status=code)
        self.server.protocol_disconnected(self)
        for name in ("handshake_deferred", "application_queue", "is_closed"):  # they point back here
            self.__dict__.pop(name, None)

    def _tell_disconnected(self, code: int | None, reason: str | None) -> None:
        if not self.muted and hasattr(self, "application_queue"):
            self.muted = True
            self.application_queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason or ""})

    def _log_action(self, action: str, status: int | None) -> None:
        if hasattr(self, "client_addr"):
            client = "{}:{}".format(*self.client_addr) if self.client_addr else None
            details = {"path": self.path.decode("ascii"), "client": client, "status": status}
            self.server.log_action("websocket", action, details)
