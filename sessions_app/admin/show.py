"""Values formatted for people. What comes from users and tools is text, never markup."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from myagent.text import with_marks
from sessions_app.models import Run, Span

EXCERPT = 100
# A page stays readable and quick to send, whatever a tool returned.
WHOLE = 200_000

OUTCOMES = {
    "success": _("succeeded"),
    "failed": _("failed"),
    "declined": _("declined"),
    "cancelled": _("cancelled"),
    "unknown": _("unknown"),
}
"""The words for the status that a tool's result has on the wire."""

PARTS_OF_USAGE = ("cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
"""Columns of runs and spans: what of the input and output was cached or thought."""


def page_url(row: Model) -> str:
    """The page of this row in the admin."""
    return _url(type(row), "change", quote(row.pk))


def list_url(model: type[Model], **parameters: object) -> str:
    """The list of these rows in the admin, filtered by `parameters`."""
    return f"{_url(model, 'changelist')}?{urlencode(parameters)}"


def _url(model: type[Model], page: str, *args: str) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def link(url: str, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


def excerpt(text: str, length: int = EXCERPT) -> str:
    """The beginning of `text` on one line."""
    return Truncator(with_marks(" ".join(text[: length * 4].split()))).chars(length)


def pretty(value: Any) -> str:
    """JSON for people: indented, and in their own script, with marks for what is hidden. At most `WHOLE` characters."""
    return with_marks(cut(json.dumps(value, ensure_ascii=False, indent=2), WHOLE))


def gist(arguments: Mapping[str, Any], length: int = EXCERPT) -> str:
    """The arguments of a call on one line, as people would say them."""
    return excerpt(", ".join(f"{name}: {_short(value)}" for name, value in arguments.items()), length)


def _short(value: Any) -> str:
    return value[:200] if isinstance(value, str) else pretty(value)[:200]


def cut(text: str, length: int) -> str:
    """At most `length` characters of `text`, with an ellipsis when that is not all."""
    return Truncator(text).chars(length) if len(text) > length else text


def block(text: str) -> SafeString:
    """Preformatted text. It scrolls when it is long, so keyboards reach it."""
    return format_html('<pre class="block" tabindex="0">{}</pre>', text) if text else SafeString("-")


def badge(row: Any) -> SafeString:
    """The status of a row, marked with its colour."""
    return format_html('<span class="badge badge-{}">{}</span>', row.status, row.get_status_display())


def run_badge(run: Run) -> SafeString:
    """The status of a run, or that it was refused, which is no success to whoever looks for one."""
    if run.finish == Run.Finish.REFUSED:
        return format_html('<span class="badge badge-{}">{}</span>', run.finish, run.get_finish_display())
    return badge(run)


def count_badges(counts: Mapping[str, int], statuses: Iterable[Any]) -> SafeString:
    """How many there are of each of these statuses, as badges; one says no number."""
    shown = (
        (status.value, status.label if counts[status] == 1 else f"{counts[status]} {status.label}")
        for status in statuses
        if counts.get(status)
    )
    return format_html_join(" ", '<span class="badge badge-{}">{}</span>', shown)


def outcome_badge(outcome: str) -> SafeString:
    """The outcome of a tool call, marked with its colour."""
    return format_html('<span class="badge badge-{}">{}</span>', outcome, OUTCOMES.get(outcome, outcome))


def span_badge(span: Span) -> SafeString:
    """The outcome of a traced call, marked with its colour, and the reason of a failure."""
    words = span.get_outcome_display()
    if span.finish and span.outcome == span.Outcome.FAILED:
        words = f"{words}: {span.finish}"
    return format_html('<span class="badge badge-{}">{}</span>', span.outcome, words)


def verdict(answer: dict[str, Any] | None) -> Any:
    """The answer to a confirmation in a word; `answer` is None while it is open."""
    if answer is None:
        return _("not answered yet")
    if answer.get("confirmed") is True:
        return _("approved")
    return _("no answer") if answer.get("answered") is False else _("declined")


def uuid_of(text: str) -> UUID | None:
    """The id that `text` is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def took(milliseconds: float | None) -> str:
    """A duration; a dash while there is none."""
    if milliseconds is None:
        return "-"
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"


def moment(at: datetime | None) -> str:
    """A time to the second, in the server's zone."""
    return "-" if at is None else date_format(timezone.localtime(at), "Y-m-d H:i:s")


def milliseconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """None while one of both is open."""
    if start is None or end is None:
        return None
    return (end - start).total_seconds() * 1000
