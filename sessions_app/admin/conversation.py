"""A conversation as people read it: run by run, who said what, which tools were called and what they returned."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Q
from django.db.models.functions import Substr
from django.utils.safestring import SafeString

from sessions_app.admin.show import (
    badge,
    cut,
    excerpt,
    milliseconds_between,
    outcome_badge,
    page_url,
    pretty,
    took,
    verdict,
)
from sessions_app.models import Confirmation, Event, Message, Run, ToolCall

# Characters of one message or result; its own page has all of it.
SHOWN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message of the user or the model; of a tool only if no call of that run asked for it."""

    kind: str = "said"
    role: str
    who: Any
    text: str
    is_cut: bool
    has_parts: bool
    waits: bool
    at: datetime
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question to the user and its answer in a word."""

    confirmation: Confirmation
    verdict: Any
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A tool call with all that became of it."""

    kind: str = "called"
    call: ToolCall
    badge: SafeString
    gist: str
    arguments: str
    arguments_run: str
    result: str
    is_cut: bool
    duration: str
    url: str
    questions: list[Asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One run: its entries in order, its questions that belong to no call, and what went wrong."""

    run: Run
    url: str
    duration: str
    error: str
    entries: list[Said | Called]
    questions: list[Asked]


@dataclass(slots=True)
class _Rows:
    """The rows of some runs, by run."""

    messages: dict[UUID, list[Any]] = field(default_factory=lambda: defaultdict(list))
    calls: dict[UUID, list[Any]] = field(default_factory=lambda: defaultdict(list))
    confirmations: dict[UUID, list[Confirmation]] = field(default_factory=lambda: defaultdict(list))


def turns_of(runs: Sequence[Run]) -> list[Turn]:
    """The conversation of `runs`, in their order, in at most four queries."""
    rows = _read([run.pk for run in runs])
    errors = _errors([run for run in runs if run.status == Run.Status.FAILED])
    return [
        Turn(
            run=run,
            url=page_url(run),
            duration=took(milliseconds_between(run.started_at, run.finished_at)),
            error=errors.get(str(run.pk), ""),
            entries=_entries(rows, run),
            questions=[_asked(row) for row in rows.confirmations[run.pk] if row.tool_call_id is None],
        )
        for run in runs
    ]


def _read(run_ids: list[UUID]) -> _Rows:
    rows = _Rows()
    messages = Message.objects.filter(run__in=run_ids).annotate(
        shown=Substr("content", 1, SHOWN + 1), has_parts=Q(parts__isnull=False)
    )
    for message in messages.defer("content", "parts").order_by("pk"):
        rows.messages[message.run_id].append(message)
    calls = ToolCall.objects.filter(run__in=run_ids).annotate(shown=Substr("result", 1, SHOWN + 1))
    for call in calls.defer("result").order_by("position"):
        rows.calls[call.run_id].append(call)
    for confirmation in Confirmation.objects.filter(run__in=run_ids).order_by("asked_at"):
        rows.confirmations[confirmation.run_id].append(confirmation)
    return rows


def _errors(failed: Sequence[Run]) -> dict[str, str]:
    """What users were told of these runs; the words are in the log alone."""
    if not failed:
        return {}
    frames = Event.objects.filter(session__in={run.session_id for run in failed}, name="agent.error")
    told = map(orjson.loads, frames.values_list("frame", flat=True))
    return {frame["metadata"].get("run_id"): frame["content"] for frame in told}


def _entries(rows: _Rows, run: Run) -> list[Said | Called]:
    """Messages and calls by their places in the history; a call stands where its result belongs."""
    placed: list[tuple[float, Said | Called]] = []
    asked = defaultdict(list)
    for confirmation in rows.confirmations[run.pk]:
        asked[confirmation.tool_call_id].append(_asked(confirmation))
    for call in rows.calls[run.pk]:
        placed.append((call.position, _called(call, asked[call.pk])))
    called_at = {call.position for call in rows.calls[run.pk]}
    for message in rows.messages[run.pk]:
        if message.position in called_at or not (message.shown or message.has_parts):
            continue
        placed.append((math.inf if message.position is None else message.position, _said(message)))
    return [entry for _, entry in sorted(placed, key=lambda pair: pair[0])]


def _said(message: Any) -> Said:
    return Said(
        role=message.role,
        who=message.get_role_display(),
        text=cut(message.shown, SHOWN),
        is_cut=len(message.shown) > SHOWN,
        has_parts=message.has_parts,
        waits=message.position is None,
        at=message.created_at,
        url=page_url(message),
    )


def _called(call: Any, questions: list[Asked]) -> Called:
    edited = call.arguments_run is not None and call.arguments_run != call.arguments
    arguments = pretty(call.arguments)
    return Called(
        call=call,
        badge=outcome_badge(call.outcome) if call.outcome else badge(call),
        gist=excerpt(", ".join(f"{name}: {_short(value)}" for name, value in call.arguments.items()), 80),
        arguments=cut(arguments, SHOWN),
        arguments_run=cut(pretty(call.arguments_run), SHOWN) if edited else "",
        result=cut(call.shown, SHOWN),
        is_cut=len(call.shown) > SHOWN or len(arguments) > SHOWN,
        duration=took(call.duration_ms),
        url=page_url(call),
        questions=questions,
    )


def _asked(confirmation: Confirmation) -> Asked:
    return Asked(confirmation=confirmation, verdict=verdict(confirmation.answer), url=page_url(confirmation))


def _short(value: Any) -> str:
    return value[:200] if isinstance(value, str) else pretty(value)[:200]
