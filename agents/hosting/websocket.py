"""One WebSocket connection of an ASGI application, with back-pressure both ways, timeouts and real close codes."""

from __future__ import annotations

import logging
from asyncio import TimerHandle
from typing import Any

import daphne.server  # noqa: F401  first of all: it installs the reactor that everything else from Twisted binds to
from autobahn.websocket.protocol import WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny
from daphne.ws_protocol import WebSocketFactory

from agents.hosting.asgi_types import AsgiMessage
from agents.hosting.connection_host import ConnectionHost
from agents.hosting.flow_control import Inbox
from agents.hosting.keepalive import Keepalive, KeepaliveAction
from agents.hosting.websocket_adapter import Phase, WebSocketAdapter
from agents.metrics import measures

logger = logging.getLogger("myagent.server")

NORMAL, INTERNAL_ERROR, SERVICE_RESTART, STALLED = 1000, 1011, 1012, 4408
RESTARTING = 503, "Service restart"
CLOSE_SECONDS = 5
"""Seconds that a client has to complete the closing handshake, or to take what was sent before it."""

_TEXT, _BINARY = 0x81, 0x82


class AgentWebSocket(WebSocketAdapter):
    """A WebSocket whose application waits for the client in `send`, and whose client waits for the application."""

    keepalive: Keepalive

    def __init__(self) -> None:
        super().__init__()
        self.is_held = False
        """True while the socket is not read, because the application has too much to handle."""
        self._disconnect_was_reported = False
        self._abort_timer: TimerHandle | None = None

    # --- the handshake

    def connectionMade(self) -> None:
        """The connection has been taken over from HTTP; the request of the handshake follows as data."""
        super().connectionMade()
        self.keepalive = Keepalive(self.server.loop.time())

    def onConnect(self, request: Any) -> Any:
        """Start an application for a complete handshake; the result fires when it accepts or refuses."""
        if self.server.is_closing:
            raise ConnectionDeny(*RESTARTING)
        return super().onConnect(request)

    def new_inbox(self) -> Inbox:
        """Make the queue of this connection's messages to the application."""
        return Inbox(self.server.limits, on_handled=self._continue_reading)

    def deny(self, status: int, reason: str) -> None:
        """Answer the handshake with an HTTP error instead of accepting it."""
        self._log_action("rejected", status=status)
        super().deny(status, reason)

    def onOpen(self) -> None:
        """The handshake is complete."""
        self._log_action("connected", status=101)
        super().onOpen()

    # --- sending

    async def send_asgi(self, message: AsgiMessage) -> None:
        """ASGI's `send`: returns when there was room for the message, or quietly when the connection is gone."""
        match self.phase, message["type"]:
            # First, because it is by far the most frequent.
            case ((Phase.OPEN | Phase.CLOSING), "websocket.send"):
                await self._send_message(message.get("text"), message.get("bytes"))
            case Phase.CLOSED, _:
                return
            case Phase.DECIDING, "websocket.accept":
                self.accept(message)
            case Phase.DECIDING, "websocket.close":
                self.deny(403, "Access denied")
            case Phase.DECIDING, "websocket.send":
                raise ValueError("'websocket.send' cannot be sent now. Send 'websocket.accept' first.")
            case ((Phase.OPEN | Phase.CLOSING), "websocket.close"):
                self.close(message.get("code") or NORMAL, message.get("reason") or "")
            case _, unexpected:
                raise ValueError(f"{unexpected!r} cannot be sent now.")

    async def _send_message(self, text: str | None, data: bytes | None) -> None:
        if text is not None and data is None:
            first_byte, payload = _TEXT, text.encode()
        elif data is not None and text is None:
            first_byte, payload = _BINARY, data
        else:
            raise ValueError("'websocket.send' needs either text or bytes.")
        while self.phase is Phase.OPEN:
            if self.send_buffer.room.is_open:
                self.send_buffer.write_frame(first_byte, payload)
                measures.SENT_BYTES.add("websocket", count=len(payload))
                return
            await self.send_buffer.room.wait()

    # --- receiving

    def dataReceived(self, data: bytes) -> None:
        """Take bytes from the socket."""
        self.keepalive.heard(self.server.loop.time())
        self.data += data
        self.consumeData()

    def consumeData(self) -> None:
        """Parse what has been received, frame by frame, up to the limits of the inbox.

        What arrives while the application is deciding waits: autobahn would take it for another handshake.
        """
        if self.phase is Phase.REQUESTING:
            self.processHandshake()
            return
        while self._may_parse_frame() and self.processData():
            pass

    def _may_parse_frame(self) -> bool:
        match self.phase:
            case Phase.OPEN if self._inbox.is_full:
                self._hold_reading()
                return False
            case Phase.OPEN | Phase.CLOSING:
                return True
        return False

    @property
    def _inbox(self) -> Inbox:
        """The messages to the application; while it is deciding and while the connection is open there is one."""
        assert self.application_queue is not None, self.phase
        return self.application_queue

    def _hold_reading(self) -> None:
        if not self.is_held:
            self.is_held = True
            self.transport.pauseProducing()

    def _continue_reading(self) -> None:
        """Parse what is already here, then read the socket again; called when the application has handled a frame."""
        if not self.is_held:
            return
        self.consumeData()
        if self.phase is not Phase.OPEN or self._inbox.is_roomy:
            self.is_held = False
            self.keepalive.heard(self.server.loop.time())  # its pongs were not read either
            self.transport.resumeProducing()

    def message_received(self, message: AsgiMessage, size: int) -> None:
        """Queue a message for the application."""
        measures.RECEIVED_BYTES.add("websocket", count=size)
        self._inbox.put_frame(message, size)

    def onPing(self, payload: bytes) -> None:
        """Answer a ping, unless earlier answers are still waiting for the client to read them."""
        if self.send_buffer.room.is_open:
            self.sendPong(payload)

    # --- timeouts

    def check_timeouts(self) -> None:
        """Called about once a second: cuts off a client that does not read, pings a silent one, drops a dead one."""
        now = self.server.loop.time()
        match self.phase:
            case Phase.DECIDING:
                if self.keepalive.silence(now) > self.server.websocket_connect_timeout:
                    self.deny(503, "Service unavailable")
            case Phase.OPEN:
                if self.send_buffer.stalled_for(now) > self.server.limits.stall_seconds:
                    self._cut_off()
                elif not (self.send_buffer.unsent or self.is_held):  # else a ping or its answer would not get through
                    self._check_silence(now)

    def _cut_off(self) -> None:
        logger.info("%r has read nothing for %g s and is disconnected.", self, self.server.limits.stall_seconds)
        self.close(STALLED, "not reading")
        self._report_disconnect(STALLED, "not reading")

    def _check_silence(self, now: float) -> None:
        match self.keepalive.check(now, interval=self.server.ping_interval, timeout=self.server.ping_timeout):
            case KeepaliveAction.PING:
                self.sendPing()
            case KeepaliveAction.DROP:
                self.wasNotCleanReason = "no pong"
                self.dropConnection(abort=True)

    # --- the end

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Send a close frame; waiting senders are released, and the socket is read for the client's answer."""
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self.send_buffer.room.open()
        self._continue_reading()

    def end(self, code: int, reason: str, *, refusal: tuple[int, str]) -> None:
        """Close the connection, or refuse it by an HTTP status when it has not been accepted yet."""
        match self.phase:
            case Phase.DECIDING:
                self.deny(*refusal)
            case Phase.OPEN:
                self.close(code, reason)

    def restart(self) -> None:
        """Tell the client that the server goes away and that it may come back."""
        self.end(SERVICE_RESTART, "service restart", refusal=RESTARTING)

    def handle_exception(self, exception: BaseException) -> None:
        """The application has failed."""
        self.end(INTERNAL_ERROR, "internal error", refusal=(500, "Internal server error"))

    def application_returned(self) -> None:
        """The application has ended; if it has not decided on the handshake, that is its error."""
        self.end(NORMAL, "", refusal=(500, "Internal server error"))

    def dropConnection(self, abort: bool = False) -> None:
        """End the TCP connection: orderly after a complete closing handshake, but never waiting for long."""
        self.send_buffer.flush()
        if not abort or self.wasClean:
            abort = False
            # Also when the kernel has taken all: Twisted closes a socket when it is writable, and this one may be full.
            self._abort_timer = self.server.loop.call_later(CLOSE_SECONDS, self.transport.abortConnection)
        super().dropConnection(abort)
        self.send_buffer.room.open()

    def connection_closed(self, code: int | None, reason: str) -> None:
        """The TCP connection is gone: release waiting senders, and tell the application and the server."""
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        self.send_buffer.room.open()
        self._report_disconnect(code, reason)
        self._log_action("disconnected", status=code)
        self.server.protocol_disconnected(self)

    def _report_disconnect(self, code: int | None, reason: str) -> None:
        """Tell the application, once."""
        if self.application_queue is not None and not self._disconnect_was_reported:
            self._disconnect_was_reported = True
            self.application_queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    def _log_action(self, action: str, status: int | None) -> None:
        if self.path is not None:
            client = "{}:{}".format(*self.client_addr) if self.client_addr else None
            details = {"path": self.path.decode("ascii"), "client": client, "status": status}
            self.server.log_action("websocket", action, details)


class AgentWebSocketFactory(WebSocketFactory):
    """Makes the WebSockets of a server."""

    def __init__(self, host: ConnectionHost) -> None:
        super().__init__(host, server=host.server_name)
        largest = host.limits.max_frame_bytes
        self.setProtocolOptions(
            allowNullOrigin=True,  # which origins may connect is decided by the application
            autoPingTimeout=0,  # Keepalive does this: autobahn's second ping forgets the timer of the first
            closeHandshakeTimeout=CLOSE_SECONDS,
            failByDrop=False,  # with True a client sees 1006 where 1009, 1007 or 1002 is meant
            maxFramePayloadSize=largest,
            maxMessagePayloadSize=largest,
            openHandshakeTimeout=0,  # check_timeouts() does this
            utf8validateIncoming=False,  # onMessageEnd() decodes, which validates
        )
        # Left here, autobahn would copy them all into every connection (2.5 KiB each); it also finds them on a class.
        options = {name: getattr(self, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}
        options = {name: staticmethod(value) if callable(value) else value for name, value in options.items()}
        self.protocol = type(AgentWebSocket.__name__, (AgentWebSocket,), {**options, "CONFIG_ATTRS": ()})
