"""One session on one connection, as a state machine: may it be sent yet, from where, and is it behind its log?

attach --> Checking --follow--------> Following <--> Behind
               \\                          ^
                --replay--> AwaitingReplay
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from myagent.protocol.cursor import Cursor
from sessions_app.run_queue import Place


@dataclass(frozen=True, slots=True)
class Checking:
    """Whether the client may use the session is not known yet: it is sent nothing."""

    agent: ClassVar[str] = ""
    cursor: ClassVar[None] = None
    has_missed: bool = False
    """Whether the log has grown meanwhile."""


@dataclass(frozen=True, slots=True)
class AwaitingReplay:
    """The client may use the session; a queued replay will say from where it is sent."""

    cursor: ClassVar[None] = None
    agent: str


@dataclass(frozen=True, slots=True)
class Following:
    """What is committed is queued for the client, and sent if it comes after the cursor."""

    agent: str
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Behind:
    """The log has grown by events that were not queued; they have to be read from it, after the cursor."""

    agent: str
    cursor: Cursor


State = Checking | AwaitingReplay | Following | Behind
_CHECKING, _CHECKING_AND_MISSED = Checking(), Checking(has_missed=True)
_NONE: frozenset[int] = frozenset()


class Attachment:
    """Pure: it decides, the pump reads and sends."""

    __slots__ = ("deletion_request", "own", "place", "state")

    def __init__(self) -> None:
        self.state: State = _CHECKING
        self.deletion_request: str | None = None
        """The `request_id` of this client's own request to delete the session."""
        self.own = _NONE
        """Events that this client sent itself, and so does not get back live."""

        self.place: Place | None = None
        """Where its next run stands in the queue, as the client was told last."""

    @property
    def agent(self) -> str:
        """The agent of the session; empty until the client is known to be allowed to use it."""
        return self.state.agent

    def follow(self, agent: str, last_seq: int) -> None:
        """Send what comes after `last_seq`, unless it is settled already from where to send."""
        if isinstance(self.state, Checking):
            kind = Behind if self.state.has_missed else Following
            self.state = kind(agent, Cursor(last_seq))

    def await_replay(self, agent: str) -> None:
        """A replay was queued. A session that is followed stays so until the replay starts."""
        if isinstance(self.state, Checking):
            self.state = AwaitingReplay(agent)

    def start_replay(self, after: int) -> Cursor | None:
        """Send what comes after `after`, the client's own events too. None if the client may not use the session."""
        if isinstance(self.state, Checking):
            return None
        self.own = _NONE
        self.state = Following(self.state.agent, cursor := Cursor(after))
        return cursor

    def miss(self) -> None:
        """The log has grown by events that are not queued."""
        match self.state:
            case Checking():
                self.state = _CHECKING_AND_MISSED
            case Following(agent, cursor):
                self.state = Behind(agent, cursor)

    def start_reading(self) -> None:
        """The log is about to be read to its end; what is committed from now on may be queued."""
        if isinstance(self.state, Behind):
            self.state = Following(self.state.agent, self.state.cursor)

    def add_own(self, seq: int) -> None:
        """Remember an event that the client sent itself, if it would still be sent to it."""
        cursor = self.state.cursor
        if cursor is None or seq > cursor.last_seq:
            self.own |= {seq}

    def take_own(self, seq: int) -> bool:
        """Whether the client sent this event itself; it is forgotten then."""
        if seq not in self.own:
            return False
        self.own -= {seq}
        return True
