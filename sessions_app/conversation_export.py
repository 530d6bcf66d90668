"""A whole conversation as one JSON document, for those who investigate it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from sessions_app.models import Confirmation, Message, Run, Session, SessionFile, Span, Summary, ToolCall

FORMAT = "myagent.conversation"
VERSION = 1
EXPORTED = (Session, Run, Message, ToolCall, Confirmation, Summary, Span, SessionFile)
"""The tables that a document contains; the event log is not among them."""


def exported(session: Session) -> dict[str, Any]:
    """The document, of plain values, UUIDs and times."""
    columns = Session.objects.filter(pk=session.pk).values().get()
    user = session.user.get_username() if session.user else None
    of_runs = {
        "messages": _by_run(Message.objects.filter(session=session).order_by("position", "pk")),
        "tool_calls": _by_run(ToolCall.objects.filter(run__session=session).order_by("position")),
        "confirmations": _by_run(Confirmation.objects.filter(run__session=session).order_by("asked_at")),
        "spans": _by_run(Span.objects.filter(run__session=session).order_by("started_at", "epoch")),
    }
    runs = list(session.runs.order_by("queued_at", "pk").values())
    return {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": timezone.now(),
        "session": {**columns, "user": user},
        "runs": [run | {name: rows[run["id"]] for name, rows in of_runs.items()} for run in runs],
        "files": [_file(row) for row in session.files.select_related("file").order_by("pk")],
        "summaries": list(session.summaries.order_by("upto_position").values()),
    }


def _file(row: SessionFile) -> dict[str, Any]:
    """What a file is, without its bytes."""
    facts = {name: getattr(row.file, name) for name in ("type", "encoding", "size", "sha256")}
    return {"file_id": row.file_id, "name": row.name, "created_at": row.created_at, **facts}


def _by_run(rows: QuerySet[Any]) -> dict[Any, list[dict[str, Any]]]:
    grouped: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.values():
        row.pop("provider_data", None)  # for the model's endpoint alone
        grouped[row.pop("run_id")].append(row)
    return grouped
