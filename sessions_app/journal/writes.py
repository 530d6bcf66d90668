"""What one transaction of the journal is about to write."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db import models

from sessions_app.journal.bulk_sql import Columns, insert_rows, update_rows
from sessions_app.models import Confirmation, Event, Message, Run, Session, Span, Summary, ToolCall

# Referenced tables before those that refer to them: some databases check foreign keys at once.
_TABLES: tuple[type[models.Model], ...] = (
    Session,
    Run,
    Message,
    Summary,
    ToolCall,
    Confirmation,
    Span,
    Event,
    LogEntry,
)


class Writes:
    """Collects the inserts and updates of many entries, so that each table is written once."""

    def __init__(self) -> None:
        self._inserts: dict[type[models.Model], dict[Any, Columns]] = defaultdict(dict)
        self._changes: dict[type[models.Model], dict[Any, Columns]] = defaultdict(dict)

    def insert(self, model: type[models.Model], **columns: Any) -> None:
        """Add a row; columns that are left out have the model's defaults."""
        pk = columns.get(model._meta.pk.attname) if model._meta.pk else None
        self._inserts[model][pk if pk is not None else object()] = columns

    def change(self, model: type[models.Model], pk: Any, **columns: Any) -> None:
        """Set columns of one row; later changes of the same row win."""
        if (inserted := self._inserts[model].get(pk)) is not None:
            inserted.update(columns)
            return
        self._changes[model].setdefault(pk, {}).update(columns)

    def flush(self) -> None:
        """Write what was collected. Entries that query the database call it first, to see what earlier ones wrote."""
        self._end_runs()
        for model in _TABLES:
            if rows := self._inserts.pop(model, None):
                insert_rows(model, rows.values())
        for model in _TABLES:
            if changes := self._changes.pop(model, None):
                update_rows(model, changes)

    def _end_runs(self) -> None:
        """A session has at most one active run at any moment (`one_active_run_per_session`), so that the end of one is
        written before the beginning of the next.
        """
        runs = self._changes[Run]
        if ended := {pk: runs.pop(pk) for pk in [pk for pk, columns in runs.items() if "finished_at" in columns]}:
            update_rows(Run, ended)
