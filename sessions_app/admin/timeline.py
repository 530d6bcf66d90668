"""The timeline of a run: a bar for each call of the model, a tool or a hook and each question to a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from sessions_app.admin.show import milliseconds_between, page_url, took, verdict
from sessions_app.models import Confirmation, Run, Span, ToolCall

TICKS_AT_MOST = 5
SPEED_FROM_MS = 100
"""A reply that was written in less time says nothing about the speed of its model."""
_SHORTEST = timedelta(milliseconds=1)
_NICE = (1, 2, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One line of the timeline. Places are percentages as CSS takes them, whatever the language.

    `first` is where the first token came, within the bar; with `resumed` another process took the run over here.
    """

    kind: str
    what: str
    name: str
    note: str = ""
    left: str
    width: str
    first: str = ""
    outcome: str
    verdict: Any = ""
    took: str
    title: str = ""
    facts: list[tuple[str, Any]]
    error: str = ""
    url: str = ""
    resumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The bars of a run in the order in which they began; `left_out` says how many more there are."""

    bars: list[Bar]
    ticks: list[tuple[str, str]]
    summary: str
    left_out: int


def timeline_of(run: Run, spans: Sequence[Span], asked: Iterable[Confirmation], *, at_most: int) -> Timeline | None:
    """The timeline of `run`, whose `spans` are in order; None for a run that was not traced."""
    if not spans:
        return None
    over = run.finished_at or timezone.now()
    ends = [_end(span, spans, over) for span in spans]
    scale = _Scale(min(spans[0].started_at, run.started_at or spans[0].started_at), max(over, *ends))
    placed = []
    epoch = spans[0].epoch
    for span, end in zip(spans, ends, strict=True):
        placed.append((span.started_at, _of_span(span, end, scale, resumed=span.epoch > epoch)))
        epoch = max(epoch, span.epoch)
    placed += [(question.asked_at, _of_question(question, over, scale)) for question in asked]
    placed.sort(key=lambda pair: pair[0])
    return Timeline(
        bars=[bar for _at, bar in placed[:at_most]],
        ticks=scale.ticks(),
        summary=_summary(spans),
        left_out=max(0, len(placed) - at_most),
    )


class _Scale:
    """Where moments of a run lie between its beginning and its end."""

    def __init__(self, begin: datetime, end: datetime) -> None:
        self._begin = begin
        self._length = max(end - begin, _SHORTEST)

    def place(self, begin: datetime, end: datetime) -> tuple[str, str]:
        """Where a bar begins, and how wide it is."""
        left, right = self._share(begin), self._share(end)
        return _percent(left), _percent(max(right - left, 0.0))

    def ticks(self) -> list[tuple[str, str]]:
        """Round numbers along the axis, and where they are."""
        length = self._length / _SHORTEST
        power = 1
        while (step := next((n * power for n in _NICE if length / (n * power) <= TICKS_AT_MOST), None)) is None:
            power *= 10
        return [(_percent(at / length), _axis(at)) for at in range(0, int(length) + 1, step)]

    def _share(self, at: datetime) -> float:
        return min(max((at - self._begin) / self._length, 0.0), 1.0)


def _percent(share: float) -> str:
    return f"{share * 100:.3f}%"


def _axis(milliseconds: int) -> str:
    if milliseconds >= 1000 or milliseconds == 0:
        return f"{milliseconds / 1000:g} s"
    return f"{milliseconds} ms"


def _end(span: Span, spans: Sequence[Span], over: datetime) -> datetime:
    """When `span` ended, or the latest time it can have: when another process took the run over, or the run ended."""
    if span.duration_ms is not None:
        return span.started_at + timedelta(milliseconds=span.duration_ms)
    later = (other.started_at for other in spans if other.epoch > span.epoch)
    return max(span.started_at, min(later, default=over))


def _of_span(span: Span, end: datetime, scale: _Scale, *, resumed: bool) -> Bar:
    is_known = span.duration_ms is not None or span.outcome == Span.Outcome.OPEN
    lasted = took(milliseconds_between(span.started_at, end))
    lasted = lasted if is_known else f"≤ {lasted}"
    facts = _facts(span, lasted)
    left, width = scale.place(span.started_at, end)
    first = span.first_token_ms / span.duration_ms if span.first_token_ms and span.duration_ms else None
    return Bar(
        kind=span.kind,
        what=_what(Span.Kind(span.kind)),
        name=span.name,
        note=_("attempt %(number)d") % {"number": span.attempt} if span.attempt > 1 else "",
        left=left,
        width=width,
        first=_percent(min(first, 1.0)) if first is not None else "",
        outcome=span.outcome if is_known else "uncertain",
        verdict="" if span.outcome == Span.Outcome.OK else span.finish or span.get_outcome_display(),
        took=lasted,
        title=" · ".join([span.name, *(f"{name}: {value}" for name, value in facts)]),
        facts=facts,
        error=span.error,
        url=page_url(ToolCall(step_id=span.step_id)) if span.step_id else "",
        resumed=resumed,
    )


def _what(kind: Span.Kind) -> str:
    match kind:
        case Span.Kind.REPLY:
            return _("model")
        case Span.Kind.SUMMARY:
            return _("summary")
        case Span.Kind.HOOK:
            return _("hook")
        case _:
            return _("tool")


def _facts(span: Span, lasted: str) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        (_("step"), span.step),
        (pgettext("moment", "started"), _time(span.started_at)),
        (_("duration"), lasted),
    ]
    if span.first_token_ms is not None:
        facts.append((_("first token"), took(span.first_token_ms)))
    if span.input_tokens or span.output_tokens:
        facts.append((_("tokens in + out"), f"{span.input_tokens} + {span.output_tokens}"))
    parts = (
        (_("from the cache"), span.cached_input_tokens),
        (_("into the cache"), span.cache_write_tokens),
        (_("reasoning"), span.reasoning_tokens),
    )
    facts += [part for part in parts if part[1]]
    writing = (span.duration_ms or 0) - (span.first_token_ms or 0)
    if span.output_tokens and span.first_token_ms is not None and writing >= SPEED_FROM_MS:
        facts.append((_("tokens per second"), round(span.output_tokens / writing * 1000)))
    if span.retries:
        facts.append((_("repeated requests"), span.retries))
    if span.finish:
        facts.append((_("finish"), span.finish))
    return facts


def _of_question(question: Confirmation, over: datetime, scale: _Scale) -> Bar:
    end = question.answered_at or max(over, question.asked_at)
    left, width = scale.place(question.asked_at, end)
    facts = [(pgettext("moment", "asked"), _time(question.asked_at)), (_("answered by"), question.answered_by or "-")]
    return Bar(
        kind="question",
        what=_("person"),
        name=question.question,
        left=left,
        width=width,
        outcome="open" if question.answered_at is None else "ok",
        verdict=verdict(question.answer),
        took=took(milliseconds_between(question.asked_at, end)),
        title=question.question,
        facts=facts,
        url=page_url(question),
    )


def _time(at: datetime) -> str:
    local = timezone.localtime(at)
    return f"{date_format(local, 'H:i:s')}.{local.microsecond // 1000:03d}"


def _summary(spans: Sequence[Span]) -> str:
    spent = {"model": 0, "tools": 0}
    calls = [span for span in spans if span.kind != Span.Kind.HOOK]
    for span in calls:
        spent["tools" if span.kind == Span.Kind.TOOL else "model"] += span.duration_ms or 0
    return _("calls: %(count)d · model: %(model)s · tools: %(tools)s") % {
        "count": len(calls),
        "model": took(spent["model"]),
        "tools": took(spent["tools"]),
    }
