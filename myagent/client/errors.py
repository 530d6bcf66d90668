"""What can go wrong between a client and its server.

ClientError
├── ConnectionLost    the connection is gone; its close code says why
├── FrameTooLarge     a request has more bytes than the server takes
├── HandshakeRefused  there was none: what listens there does not let this client in, or is no MyAgent server
└── RequestRefused    the server does not do what it was asked
"""

from __future__ import annotations

from myagent.client.frames import ServerFrame
from myagent.exceptions import MyAgentError
from myagent.protocol.error_codes import CloseCode


class ClientError(MyAgentError):
    """Base of what goes wrong between client and server. Do not raise it directly."""

    code = "client_error"


class ConnectionLost(ClientError):
    """The connection is gone. `close_code` is the WebSocket's (1006 when there was no close frame)."""

    code = "connection_lost"

    FINAL_CODES = frozenset(
        {CloseCode.NOT_OUR_PROTOCOL, CloseCode.UNAUTHENTICATED, CloseCode.FORBIDDEN, CloseCode.NO_SUCH_AGENT}
    )

    def __init__(self, close_code: int, reason: str, *, by_client: bool = False) -> None:
        self.close_code = close_code
        self.reason = reason
        self.by_client = by_client
        super().__init__(f"The connection was closed with code {close_code} ({reason or 'no reason given'}).")

    @property
    def is_final(self) -> bool:
        """Whether coming back in the same way would end in the same way."""
        # Only an invalid token counts as an attempt, and it will not become a valid one.
        is_guess = self.close_code == CloseCode.OVER_LIMIT and self.reason == "too_many_attempts"
        return is_guess or self.close_code in self.FINAL_CODES

    @property
    def is_too_large(self) -> bool:
        """Whether a frame of this client was too large for the server, and not the other way round."""
        return self.close_code == CloseCode.TOO_BIG and not self.by_client


class FrameTooLarge(ClientError):
    """A request has `size` bytes, which is more than the server takes; it was not done, and nothing else was lost.

    `limit` is how many it takes, None when it does not say.
    """

    code = "frame_too_large"

    def __init__(self, size: int, limit: int | None = None) -> None:
        self.size = size
        self.limit = limit
        least = "less than that" if limit is None else f"at most {limit}"
        super().__init__(f"The request has {size} bytes, and the server takes {least} in a frame. Send less at once.")


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


def granted(reply: ServerFrame) -> ServerFrame:
    """The reply. Raises `RequestRefused` when it is a refusal."""
    if reply.is_refusal:
        raise RequestRefused(reply)
    return reply
