"""What can go wrong between a client and its server.

ClientError
├── ConnectionLost    the connection is gone; its close code says why
├── HandshakeRefused  there was none: what listens there does not let this client in, or is no MyAgent server
└── RequestRefused    the server does not do what it was asked
"""

from __future__ import annotations

from myagent.client.frames import ServerFrame
from myagent.exceptions import MyAgentError
from myagent.protocol.errors import CloseCode


class ClientError(MyAgentError):
    """Base of what goes wrong between client and server. Do not raise it directly."""

    code = "client_error"


class ConnectionLost(ClientError):
    """The connection is gone. `close_code` is the WebSocket's (1006 when there was no close frame)."""

    code = "connection_lost"

    FINAL_CODES = frozenset(
        {CloseCode.NOT_OUR_PROTOCOL, CloseCode.UNAUTHENTICATED, CloseCode.FORBIDDEN, CloseCode.NO_SUCH_AGENT}
    )

    def __init__(self, close_code: int, reason: str) -> None:
        self.close_code = close_code
        self.reason = reason
        super().__init__(f"The connection was closed with code {close_code} ({reason or 'no reason given'}).")

    @property
    def is_final(self) -> bool:
        """Whether coming back in the same way would end in the same way."""
        return self.close_code in self.FINAL_CODES


class HandshakeRefused(ClientError):
    """No connection came about. `status` is that of the HTTP answer, None when there was no proper one."""

    code = "handshake_refused"

    def __init__(self, status: int | None, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(f"The server does not open a WebSocket of MyAgent here: {reason}")

    @property
    def is_final(self) -> bool:
        """Whether it is of no use to try again. A server that is stopping, or a proxy in front of it, says 5xx."""
        return self.status is None or self.status < 500


class RequestRefused(ClientError):
    """The server refused a request; `code` is the refusal's, `frame` all of it."""

    def __init__(self, frame: ServerFrame) -> None:
        self.code = frame.code or "error"
        self.frame = frame
        super().__init__(f"{frame.content} ({self.code})")
