"""What a client receives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from myagent.client.typed_events import typed
from myagent.protocol.server_base import ServerEvent
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
    raw: str = field(default="", repr=False, compare=False)
    """The frame as it came, with the keys that this version does not know."""

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """The event in a WebSocket frame; keys that this version does not know are in `raw` only.

        Raises `ValueError` for what is no frame of a MyAgent server.
        """
        frame = orjson.loads(text)
        if not isinstance(frame, dict) or not isinstance(frame.get("event"), str):
            raise ValueError("a frame of the server is a JSON object with an event")
        known = {key: value for key, value in frame.items() if key in _KEYS}
        return cls(**known, raw=text if isinstance(text, str) else text.decode())

    def typed(self) -> ServerEvent:
        """The event as its class in `myagent.protocol`, or an `UnknownEvent`; never fails.

        What this version does not know (keys, words such as the status of a tool) is left out or kept as it is, so
        programs go on working with later servers.
        """
        return typed(self.event, self.step_id, self.content, self.metadata, is_logged=self.seq is not None)

    @property
    def code(self) -> str | None:
        """The stable word of an error or a refusal."""
        return self.metadata.get("code")

    @property
    def run_id(self) -> str | None:
        """The run that this event belongs to; None on refusals and whatever else is of no run."""
        return self.metadata.get("run_id")

    @property
    def output(self) -> dict[str, Any] | None:
        """The value of a final answer, of an agent that has an `output`; None on all else."""
        return self.metadata.get("output") if self.event == "agent.final_answer" else None

    @property
    def ends_run(self) -> bool:
        """Whether nothing of its run follows."""
        return self.event in TERMINAL_EVENTS and self.run_id is not None

    @property
    def is_refusal(self) -> bool:
        """Whether the server says that it does not do what it was asked."""
        return self.event.endswith(".error") and self.run_id is None


_KEYS = frozenset(ServerFrame.__slots__) - {"raw"}

Match = str | Callable[[ServerFrame], bool]
"""The name of an event, or a function that tells whether a frame is the wanted one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of a message: its run, and how many are before it (0: it is being answered).

    With `mode` "steer" it waits to be read by the run `run_id`, which was there before it. It is logged as part of the
    run that reads it, which is another one where that run has ended first.
    """

    message_id: str
    run_id: str
    position: int
    duplicate: bool = False
    mode: str | None = None


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
