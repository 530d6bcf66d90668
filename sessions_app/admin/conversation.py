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
from django.db.models import Q, TextField
from django.db.models.functions import Cast, Length, Substr
from django.utils.safestring import SafeString

from agents.admin.use import cost_in_words
from myagent.loop.output_text import with_code
from myagent.text import with_marks
from sessions_app.admin.markdown import Markdown
from sessions_app.admin.pictures import Part, parts_of
from sessions_app.admin.show import (
    badge,
    cut,
    gist,
    list_url,
    milliseconds_between,
    outcome_badge,
    page_url,
    pretty,
    run_badge,
    took,
    verdict,
)
from sessions_app.admin.timeline import Timeline, timeline_of
from sessions_app.models import Confirmation, Event, Message, Run, Session, Span, Summary, ToolCall

# Characters of one message or result; its own page has all of it.
SHOWN = 10_000
# Spans that are read for one page; an agent would have to be allowed a great many steps for more.
SPANS_READ = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMessage:
    """A message of the user or the model; of a tool only if no call of that run asked for it.

    `html` is the rendered Markdown of a model's answer.
    """

    kind: str = "said"
    role: str
    who: Any
    name: str
    text: str
    html: SafeString | None
    is_cut: bool
    parts: list[Part]
    has_more_parts: bool
    waits: bool
    at: datetime
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownQuestion:
    """A question to the user and its answer in a word."""

    confirmation: Confirmation
    words: str
    verdict: Any
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCall:
    """A tool call with its outcome.

    `gist` has the arguments that ran, or those asked for where it did not; `arguments_run` is empty where both are the
    same; `waits` says that a question about it has no answer yet. `parts` are the pictures of its result; `parts_url`
    is where they are if they are too large for this page.
    """

    kind: str = "called"
    call: ToolCall
    tool: str
    badge: SafeString
    gist: str
    is_changed: bool
    arguments: str
    arguments_run: str
    waits: bool
    result: str
    is_cut: bool
    parts: list[Part]
    parts_url: str
    duration: str
    url: str
    questions: list[ShownQuestion]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSummary:
    """A summary, in the place from which on the model is still sent the messages themselves."""

    kind: str = "summarized"
    text: str
    at: datetime


ShownEntry = ShownMessage | ShownCall | ShownSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """One run: entries in order, questions that belong to no call, its timeline, its error, what its user thinks."""

    run: Run
    badge: SafeString
    url: str
    events_url: str
    spans_url: str
    cost: Any
    duration: str
    error: str
    comment: str
    entries: list[ShownEntry]
    questions: list[ShownQuestion]
    timeline: Timeline | None


@dataclass(slots=True)
class _Rows:
    """The rows of some runs, by run; summaries by the run in which the part that they replace ends."""

    messages: dict[UUID, list[Any]] = field(default_factory=lambda: defaultdict(list))
    calls: dict[UUID, list[Any]] = field(default_factory=lambda: defaultdict(list))
    confirmations: dict[UUID, list[Confirmation]] = field(default_factory=lambda: defaultdict(list))
    summaries: dict[UUID | None, list[Any]] = field(default_factory=lambda: defaultdict(list))
    spans: dict[UUID, list[Span]] = field(default_factory=lambda: defaultdict(list))
    parts: dict[int, list[Part]] = field(default_factory=dict)


class ConversationReader:
    """Reads runs of one session for a page, in a number of queries that does not depend on how many there are.

    `bars` limits each timeline: 0 for visitors who may not see any.
    """

    def __init__(self, session: Session, *, bars: int, may_see_summaries: bool) -> None:
        self._session = session
        self._bars = bars
        self._may_see_summaries = may_see_summaries
        self._markdown = Markdown()

    def read(self, runs: Sequence[Run]) -> list[ShownRun]:
        """These runs as they are shown, in their order."""
        rows = self._rows([run.pk for run in runs])
        errors = _errors([run for run in runs if run.status == Run.Status.FAILED])
        return [
            ShownRun(
                run=run,
                badge=run_badge(run),
                url=page_url(run),
                events_url=list_url(Event, session=run.session_id, q=run.pk),
                spans_url=list_url(Span, run=run.pk),
                cost=cost_in_words(run),
                duration=took(milliseconds_between(run.started_at, run.finished_at)),
                error=errors.get(str(run.pk), ""),
                comment=with_marks(run.comment or ""),
                entries=self._entries(rows, run),
                questions=[_asked(row) for row in rows.confirmations[run.pk] if row.tool_call_id is None],
                timeline=timeline_of(run, rows.spans[run.pk], rows.confirmations[run.pk], at_most=self._bars),
            )
            for run in runs
        ]

    def _rows(self, run_ids: list[UUID]) -> _Rows:
        rows = _Rows()
        messages = Message.objects.filter(run__in=run_ids).annotate(
            shown=Substr("content", 1, SHOWN + 1),
            has_parts=Q(parts__isnull=False),
            size=Length(Cast("parts", TextField())),
        )
        read = list(messages.defer("content", "parts", "provider_data").order_by("pk"))
        for message in read:
            rows.messages[message.run_id].append(message)
        rows.parts = parts_of(read)
        calls = ToolCall.objects.filter(run__in=run_ids).annotate(shown=Substr("result", 1, SHOWN + 1))
        for call in calls.defer("result").order_by("position"):
            rows.calls[call.run_id].append(call)
        for confirmation in Confirmation.objects.filter(run__in=run_ids).order_by("asked_at"):
            rows.confirmations[confirmation.run_id].append(confirmation)
        if self._bars:
            for span in Span.objects.filter(run__in=run_ids).order_by("started_at", "epoch")[:SPANS_READ]:
                rows.spans[span.run_id].append(span)
        if self._may_see_summaries:
            self._read_summaries(rows, read)
        return rows

    def _read_summaries(self, rows: _Rows, messages: Sequence[Any]) -> None:
        runs = {message.position: message.run_id for message in messages if message.position is not None}
        if not runs:
            return
        summaries = Summary.objects.filter(session=self._session, upto_position__range=(min(runs), max(runs)))
        for summary in summaries.annotate(shown=Substr("content", 1, SHOWN + 1)).defer("content"):
            rows.summaries[runs.get(summary.upto_position)].append(summary)

    def _entries(self, rows: _Rows, run: Run) -> list[ShownEntry]:
        """Messages and calls by their places in the history; a call stands where its result belongs."""
        placed: list[tuple[float, ShownEntry]] = []
        asked = defaultdict(list)
        for confirmation in rows.confirmations[run.pk]:
            asked[confirmation.tool_call_id].append(_asked(confirmation))
        results = {message.position: message for message in rows.messages[run.pk] if message.has_parts}
        for call in rows.calls[run.pk]:
            result = results.get(call.position)
            parts = None if result is None else rows.parts.get(result.pk)
            parts_url = page_url(result) if result is not None and parts is None else ""
            placed.append((call.position, _called(call, asked[call.pk], parts or [], parts_url)))
        called_at = {call.position for call in rows.calls[run.pk]}
        for message in rows.messages[run.pk]:
            if message.position in called_at or not (message.shown or message.has_parts):
                continue
            place = math.inf if message.position is None else message.position
            placed.append((place, self._said(message, rows.parts.get(message.pk))))
        for summary in rows.summaries[run.pk]:
            words = ShownSummary(text=cut(summary.shown, SHOWN), at=summary.created_at)
            placed.append((summary.upto_position + 0.5, words))
        return [entry for _, entry in sorted(placed, key=lambda pair: pair[0])]

    def _said(self, message: Any, parts: list[Part] | None) -> ShownMessage:
        text = cut(message.shown, SHOWN)
        by_model, by_user = message.role == Message.Role.ASSISTANT, message.role == Message.Role.USER
        return ShownMessage(
            role=message.role,
            who=message.get_role_display(),
            name=self._session.agent if by_model else str(self._session.user or "") if by_user else "",
            text=text,
            html=self._markdown.render(with_code(text)) if by_model else None,
            is_cut=len(message.shown) > SHOWN,
            parts=parts or [],
            has_more_parts=message.has_parts and parts is None,
            waits=message.position is None,
            at=message.created_at,
            url=page_url(message),
        )


def _errors(failed: Sequence[Run]) -> dict[str, str]:
    """The error messages that users were sent, by run; they are stored in the log alone."""
    if not failed:
        return {}
    frames = Event.objects.filter(session__in={run.session_id for run in failed}, name="agent.error")
    told = map(orjson.loads, frames.values_list("frame", flat=True))
    return {frame["metadata"].get("run_id"): frame["content"] for frame in told}


def _called(call: Any, questions: list[ShownQuestion], parts: list[Part], parts_url: str) -> ShownCall:
    ran = call.arguments if call.arguments_run is None else call.arguments_run
    differs = ran != call.arguments
    # A tool's types convert what was asked for, too ("5" becomes 5); that is no edit.
    is_edited = any((question.confirmation.answer or {}).get("args") is not None for question in questions)
    arguments = pretty(call.arguments)
    return ShownCall(
        call=call,
        tool=with_marks(call.tool),
        badge=outcome_badge(call.outcome) if call.outcome else badge(call),
        gist=gist(ran, 80),
        is_changed=differs and is_edited,
        arguments=cut(arguments, SHOWN),
        arguments_run=cut(pretty(ran), SHOWN) if differs else "",
        waits=any(question.confirmation.answer is None for question in questions),
        # Of a call that failed, the result only repeats the error.
        result="" if call.error and call.shown == f"Error: {call.error}" else cut(call.shown, SHOWN),
        is_cut=len(call.shown) > SHOWN or len(arguments) > SHOWN,
        parts=parts,
        parts_url=parts_url,
        duration=took(call.duration_ms),
        url=page_url(call),
        questions=questions,
    )


def _asked(confirmation: Confirmation) -> ShownQuestion:
    return ShownQuestion(
        confirmation=confirmation,
        words=with_marks(confirmation.question),
        verdict=verdict(confirmation.answer),
        url=page_url(confirmation),
    )
