"""What one transaction of the journal adds to the event logs of its sessions."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from myagent.protocol.codec import encode, timestamp
from myagent.protocol.server_base import ServerEvent
from sessions_app.journal.locked_rows import LockedSession
from sessions_app.journal.stored_size import size_of_text
from sessions_app.journal.writes import Writes


@dataclass(frozen=True, slots=True)
class Logged:
    """One event as it was logged; the connection `origin` needs no copy, because it caused the event."""

    seq: int
    frame: str
    origin: str | None


@dataclass(slots=True)
class Growth:
    """What one commit added to the log of a session that ended at `prev_seq`."""

    session_id: uuid.UUID
    prev_seq: int
    events: list[Logged] = field(default_factory=list)
    name: str = field(init=False)
    """The session's id as frames have it."""

    def __post_init__(self) -> None:
        self.name = str(self.session_id)


class Log:
    """Numbers and encodes the events of one transaction."""

    def __init__(self, writes: Writes, now: datetime) -> None:
        self.growths: dict[uuid.UUID, Growth] = {}
        self._writes = writes
        self._at = timestamp(now)

    def append(self, session: LockedSession, event: ServerEvent, *, origin: str | None = None) -> None:
        """Give `event` the next number of its session's log and encode it, once for all readers."""
        growth = self.growths.get(session.id)
        if growth is None:
            growth = self.growths[session.id] = Growth(session.id, session.last_seq)
        session.last_seq += 1
        frame = encode(event, session_id=growth.name, seq=session.last_seq, at=self._at)
        growth.events.append(Logged(session.last_seq, frame, origin))
        session.grow(size_of_text(frame))
        self._writes.add_event(session, (session.last_seq, event.event, event.step_id or "", frame))

    def forget(self, session_id: uuid.UUID) -> None:
        """The session is deleted: nothing of it is announced."""
        self.growths.pop(session_id, None)
