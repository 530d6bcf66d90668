"""`Cursor`: the position of a reader in the event log of a session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from myagent.i18n import gettext as _


class Delivery(Enum):
    """What to do with an event that is offered to a cursor."""

    SEND = auto()
    SKIP = auto()
    CATCH_UP = auto()


@dataclass(slots=True)
class Cursor:
    """The last event of a session that one connection was sent. Numbers rise but may skip (compaction)."""

    last_seq: int = 0

    def offer(self, prev_seq: int, seq: int) -> Delivery:
        """Decide about event `seq`, which follows `prev_seq` in the log; moves on when the answer is SEND."""
        if seq <= self.last_seq:
            return Delivery.SKIP
        if prev_seq > self.last_seq:
            return Delivery.CATCH_UP
        self.last_seq = seq
        return Delivery.SEND


def event_id(session_id: str, seq: int) -> str:
    """The id of a logged event, unique over all sessions."""
    return f"{session_id}-{seq}"


def split_event_id(value: str) -> tuple[str, int]:
    """`(session_id, seq)` of an event id. Raises `ValueError` when it is none."""
    session_id, dash, number = value.rpartition("-")
    if not dash or not session_id or not number.isascii() or not number.isdigit() or len(number) > 18:
        words = _("%(value)r is not an event id, which looks like <session_id>-<seq>")
        raise ValueError(words % {"value": value})
    return session_id, int(number)
