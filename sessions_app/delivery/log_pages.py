"""The log of a session in pages, so many events and so many bytes at a time: a client may be slow, and a log long.

Blocking: called in a database thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import NamedTuple

from django.db import connection
from django.db.models import Case, F, Func, IntegerField, When

from sessions_app.models import Event

PAGE_EVENTS = 200
PAGE_BYTES = 1_048_576
"""At which a page ends: it holds as much, or one event that is longer."""
LONG_BYTES = 8_192
"""What is longer is read only once it is known that the page has room for it."""

_Row = tuple[int, str]


class Page(NamedTuple):
    """The next `(seq, frame)` of a log, in order, and whether nothing comes behind them."""

    events: list[_Row]
    is_last: bool


def events_after(session_id: uuid.UUID, seq: int, limit: int = PAGE_EVENTS) -> Page:
    """What comes behind `seq`, at most `limit` events of it. Only the last page may be empty."""
    read = _read_on if connection.vendor == "sqlite" else _read_by_size
    events: list[_Row] = []
    room = PAGE_BYTES
    for number, frame in read(session_id, seq, limit + 1):
        room -= len(frame)
        if events and (room < 0 or len(events) == limit):
            return Page(events, is_last=False)
        events.append((number, frame))
    return Page(events, is_last=True)


def _read_on(session_id: uuid.UUID, seq: int, most: int) -> Iterator[_Row]:
    """SQLite reads what is taken, and nothing ahead."""
    yield from Event.objects.after(session_id, seq).values_list("seq", "frame")[:most].iterator(chunk_size=1)


class _StoredBytes(Func):
    """The size of a text, which PostgreSQL knows without reading it."""

    function = "OCTET_LENGTH"
    output_field = IntegerField()


def _read_by_size(session_id: uuid.UUID, seq: int, most: int) -> Iterator[_Row]:
    """PostgreSQL sends whatever it is asked for as a whole: what is long is asked for by itself."""
    short = Case(When(size__lte=LONG_BYTES, then=F("frame")))
    rows = Event.objects.after(session_id, seq).annotate(size=_StoredBytes("frame"), short=short)
    for number, frame in list(rows.values_list("seq", "short")[:most]):
        if frame is not None:
            yield number, frame
            continue
        long = Event.objects.filter(session_id=session_id, seq=number).values_list("frame", flat=True).first()
        if long is None:  # deleted in between, perhaps with others: what is there now is read anew
            yield from _read_by_size(session_id, number, most)
            return
        yield number, long
