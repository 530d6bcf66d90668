"""How many bytes a session takes: the frames of its log, the messages of its history, the states in which its runs left
what tools keep, and its files.

They are added up as they are written. The same is found by counting what is there, which `stored_bytes` does.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from django.db.models import BigIntegerField, Func, QuerySet, Sum

from sessions_app.models import Event, Message, Run, SessionFile

_JSON_COLUMNS = ("parts", "tool_calls", "provider_data")
_ROWS_AT_A_TIME = 200


class Octets(Func):
    """The bytes of a text as UTF-8."""

    function = "OCTET_LENGTH"
    output_field = BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **options: Any) -> Any:
        # Its own function of that name is younger than the oldest SQLite that Django takes.
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **options)


def size_of_text(text: str) -> int:
    """Bytes of `text` as UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def size_of_message(columns: Mapping[str, Any]) -> int:
    """Bytes of a row of the history."""
    return size_of_text(columns.get("content", "")) + sum(
        len(orjson.dumps(value)) for name in _JSON_COLUMNS if (value := columns.get(name)) is not None
    )


def size_of_state(state: Any) -> int:
    """Bytes of the tools' state as a run left it; none where it left it as it was."""
    return len(orjson.dumps(state)) if isinstance(state, dict) else 0


def frames_size(events: QuerySet[Event]) -> int:
    """Bytes of the frames of these events."""
    size: int = events.aggregate(size=Sum(Octets("frame")))["size"] or 0
    return size


def stored_bytes(session_id: uuid.UUID) -> int:
    """What a session takes, by what is there."""
    messages = Message.objects.filter(session_id=session_id)
    texts: int = messages.aggregate(size=Sum(Octets("content")))["size"] or 0
    with_json = messages.exclude(**dict.fromkeys(_JSON_COLUMNS)).values(*_JSON_COLUMNS)
    rest = sum(size_of_message(row) for row in with_json.iterator(chunk_size=_ROWS_AT_A_TIME))
    kept = Run.objects.filter(session_id=session_id, end_state__isnull=False).values_list("end_state", flat=True)
    states = sum(map(size_of_state, kept.iterator(chunk_size=_ROWS_AT_A_TIME)))
    logged = frames_size(Event.objects.filter(session_id=session_id))
    return texts + rest + states + logged + files_size(session_id)


def files_size(session_id: uuid.UUID) -> int:
    """Bytes of the files that a session has, whoever else has them."""
    size: int = SessionFile.objects.filter(session_id=session_id).aggregate(size=Sum("file__size"))["size"] or 0
    return size
