"""What one transaction of the journal adds to the event logs of its sessions."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from myagent.protocol.codec import encode, timestamp
from myagent.protocol.server_base import ServerEvent
from sessions_app.journal.locks import LockedSession
from sessions_app.journal.writes import Writes
from sessions_app.models import Event, Session


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


class Log:
    """Numbers and encodes the events of one transaction."""

    def __init__(self, writes: Writes, now: datetime) -> None:
        self.growths: dict[uuid.UUID, Growth] = {}
        self._writes = writes
        self._now = now
        self._at = timestamp(now)

    def append(self, session: LockedSession, event: ServerEvent, *, origin: str | None = None) -> None:
        """Give `event` the next number of its session's log and encode it, once for all readers."""
        growth = self.growths.get(session.id)
        if growth is None:
            growth = self.growths[session.id] = Growth(session.id, session.last_seq)
        session.last_seq += 1
        frame = encode(event, session_id=str(session.id), seq=session.last_seq, at=self._at)
        growth.events.append(Logged(session.last_seq, frame, origin))
        self._writes.insert(
            Event,
            session_id=session.id,
            seq=session.last_seq,
            name=event.event,
            step_id=event.step_id or "",
            frame=frame,
            created_at=self._now,
        )
        self._writes.change(Session, session.id, last_seq=session.last_seq)

    def forget(self, session_id: uuid.UUID) -> None:
        """The session is deleted: nothing of it is announced."""
        self.growths.pop(session_id, None)
