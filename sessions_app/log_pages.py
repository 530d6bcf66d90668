"""The log of a session in pages, so many events and so many characters at a time: a client may be slow, and a log long.

Blocking: called in a database thread.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

from django.db.models import Case, F, When
from django.db.models.functions import Length

from sessions_app.models import Event

PAGE_EVENTS = 200
PAGE_CHARACTERS = 1_048_576
"""At which a page ends: it holds as much, or one event that is longer."""
LONG_CHARACTERS = 8_192
"""What is longer is read only once it is known that the page has room for it."""


class Page(NamedTuple):
    """The next `(seq, frame)` of a log, in order, and whether nothing comes behind them."""

    events: list[tuple[int, str]]
    is_last: bool


def events_after(session_id: uuid.UUID, seq: int, limit: int = PAGE_EVENTS) -> Page:
    """What comes behind `seq`, at most `limit` events of it. Only the last page may be empty."""
    short = Case(When(characters__lte=LONG_CHARACTERS, then=F("frame")))
    behind = Event.objects.after(session_id, seq).annotate(characters=Length("frame"), short=short)
    rows = list(behind.values_list("seq", "characters", "short")[: limit + 1])
    taken: list[tuple[int, str | None]] = []
    room = PAGE_CHARACTERS
    for number, characters, frame in rows[:limit]:
        room -= characters
        if room < 0 and taken:
            break
        taken.append((number, frame))
    long = [number for number, frame in taken if frame is None]
    found = dict(Event.objects.filter(session_id=session_id, seq__in=long).values_list("seq", "frame")) if long else {}
    events = [(number, frame if frame is not None else found.get(number)) for number, frame in taken]
    # What was deleted in between is not there.
    told = [(number, frame) for number, frame in events if frame is not None]
    is_last = len(taken) == len(rows)
    return Page(told, is_last) if told or is_last else events_after(session_id, taken[-1][0], limit)
