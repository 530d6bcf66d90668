"""What a connection needs of the server that it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol


class HostingLimits(Protocol):
    """The limits of one connection and of a stop; `agents.conf.Config` has them."""

    @property
    def max_frame_bytes(self) -> int:
        """Bytes of the largest message that a client may send."""

    @property
    def max_file_bytes(self) -> int:
        """Bytes of the largest file in the body of a request."""

    @property
    def inbound_frames(self) -> int:
        """Unhandled frames of one connection at which its socket is no longer read."""

    @property
    def inbound_bytes(self) -> int:
        """Unhandled bytes of one connection at which its socket is no longer read."""

    @property
    def stall_seconds(self) -> float:
        """Seconds after which a client that does not read is cut off."""

    @property
    def drain_seconds(self) -> float:
        """Seconds that active runs have to finish when the server stops."""


class ConnectionHost(Protocol):
    """The server as its WebSockets see it; `DaphneServer` is one.

    This is what our part of a connection asks for; daphne's part takes further attributes of `daphne.server.Server`.
    """

    loop: asyncio.AbstractEventLoop
    limits: HostingLimits
    is_closing: bool
    """The server is closing its connections: new handshakes are refused."""
    server_name: str
    ping_interval: float
    """Seconds of silence after which a client is pinged."""
    ping_timeout: float
    """Seconds that the pinged client has to answer."""
    websocket_connect_timeout: float
    """Seconds that the application has to accept or refuse a handshake."""

    def protocol_disconnected(self, protocol: Any) -> None:
        """The connection is gone; its application should end."""

    def log_action(self, protocol: str, action: str, details: Mapping[str, Any]) -> None:
        """Write a line of the access log."""
