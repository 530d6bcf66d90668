"""What one transaction of the journal is about to write."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db import models

from sessions_app.journal.bulk_sql import Columns, insert_rows, insert_values, to_database, update_rows
from sessions_app.journal.locked_rows import LockedSession
from sessions_app.models import Confirmation, Event, Message, Run, Session, SessionFile, Span, Summary, ToolCall

# Referenced tables before those that refer to them: some databases check foreign keys at once.
_TABLES: tuple[type[models.Model], ...] = (
    Session,
    SessionFile,
    Run,
    Message,
    Summary,
    ToolCall,
    Confirmation,
    Span,
    LogEntry,
)
_EVENT_COLUMNS = ("session_id", "created_at", "seq", "name", "step_id", "frame")
EventRow = tuple[int, str, str, str]
"""An event's number, its name, its step id and its frame."""


class Writes:
    """Collects the inserts and updates of many entries, so that each table is written once."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._events: dict[uuid.UUID, tuple[LockedSession, list[EventRow]]] = {}
        self._inserts: dict[type[models.Model], dict[Any, Columns]] = defaultdict(dict)
        self._changes: dict[type[models.Model], dict[Any, Columns]] = defaultdict(dict)

    def insert(self, model: type[models.Model], /, **columns: Any) -> None:
        """Add a row; columns that are left out have the model's defaults."""
        pk = columns.get(model._meta.pk.attname) if model._meta.pk else None
        self._inserts[model][pk if pk is not None else object()] = columns

    def change(self, model: type[models.Model], pk: Any, /, **columns: Any) -> None:
        """Set columns of one row; later changes of the same row win."""
        if (inserted := self._inserts[model].get(pk)) is not None:
            inserted.update(columns)
            return
        self._changes[model].setdefault(pk, {}).update(columns)

    def add_event(self, session: LockedSession, row: EventRow) -> None:
        """Add an event to the log of a session that has been told of it; there are more of them than of all else."""
        if (events := self._events.get(session.id)) is None:
            events = self._events[session.id] = session, []
        events[1].append(row)

    def flush(self) -> None:
        """Write what was collected. Entries that query the database call it first, to see what earlier ones wrote."""
        events, self._events = self._events, {}
        for session, _ in events.values():
            self.change(Session, session.id, last_seq=session.last_seq, stored_bytes=session.stored_bytes)
        self._end_runs()
        for model in _TABLES:
            if rows := self._inserts.pop(model, None):
                insert_rows(model, rows.values())
        for model in _TABLES:
            if changes := self._changes.pop(model, None):
                update_rows(model, changes)
        self._insert_events(events.values())

    def _insert_events(self, events: Iterable[tuple[LockedSession, list[EventRow]]]) -> None:
        created_at = to_database(Event, "created_at", self._now)
        rows: list[Sequence[Any]] = []
        for session, added in events:
            session_id = to_database(Event, "session_id", session.id)
            rows += [(session_id, created_at, *row) for row in added]
        insert_values(Event, _EVENT_COLUMNS, rows)

    def _end_runs(self) -> None:
        """A session has at most one active run at any moment (`one_active_run_per_session`), so that the end of one is
        written before the beginning of the next.
        """
        runs = self._changes[Run]
        if ended := {pk: runs.pop(pk) for pk in [pk for pk, columns in runs.items() if "finished_at" in columns]}:
            update_rows(Run, ended)
