"""What a client receives, and what can go wrong between it and the server.

ClientError
├── ConnectionLost    the connection is gone; its close code says why
└── RequestRefused    the server does not do what it was asked
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from myagent.exceptions import MyAgentError
from myagent.protocol.server_events import TERMINAL_EVENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFrame:
    """One event of the server. Logged events bear `seq` and `event_id`, direct ones do not."""

    event: str
    session_id: str | None = None
    step_id: str | None = None
    content: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    seq: int | None = None
    event_id: str | None = None
    timestamp: str = ""

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """The event in a WebSocket frame; keys that this version does not know are left out."""
        frame = orjson.loads(text)
        return cls(**{key: value for key, value in frame.items() if key in cls.__slots__})

    @property
    def code(self) -> str | None:
        """The stable word of an error or a refusal."""
        return self.metadata.get("code")

    @property
    def run_id(self) -> str | None:
        """The run that this event belongs to; None on refusals and whatever else is of no run."""
        return self.metadata.get("run_id")

    @property
    def ends_run(self) -> bool:
        """Whether nothing of its run follows."""
        return self.event in TERMINAL_EVENTS and self.run_id is not None

    @property
    def is_refusal(self) -> bool:
        """Whether the server says that it does not do what it was asked."""
        return self.event.endswith(".error") and self.run_id is None


Match = str | Callable[[ServerFrame], bool]
"""The name of an event, or a function that tells whether a frame is the wanted one."""


class ClientError(MyAgentError):
    """Base of what goes wrong between client and server. Do not raise it directly."""

    code = "client_error"


class ConnectionLost(ClientError):
    """The connection is gone. `close_code` is the WebSocket's (1006 when there was no close frame)."""

    code = "connection_lost"

    def __init__(self, close_code: int, reason: str) -> None:
        self.close_code = close_code
        self.reason = reason
        super().__init__(f"The connection was closed with code {close_code} ({reason or 'no reason given'}).")


class RequestRefused(ClientError):
    """The server refused a request; `code` is the refusal's, `frame` all of it."""

    def __init__(self, frame: ServerFrame) -> None:
        self.code = frame.code or "error"
        self.frame = frame
        super().__init__(f"{frame.content} ({self.code})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of a message: its run, and how many are before it (0: it is being answered)."""

    message_id: str
    run_id: str
    position: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a reconnect brought: the number of events sent again, where the log ends, what goes on in the session."""

    count: int
    last_seq: int
    run_status: str


def predicate(match: Match) -> Callable[[ServerFrame], bool]:
    """`match` as a function."""
    if isinstance(match, str):
        return lambda frame: frame.event == match
    return match
