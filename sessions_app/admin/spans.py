"""Spans of all runs: what takes long, what fails, what is retried."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from sessions_app.admin.base import ConversationAdmin, Target
from sessions_app.admin.filters import RunFilter, SessionOfRunFilter
from sessions_app.admin.show import PARTS_OF_USAGE, block, excerpt, link, moment, page_url, span_badge, took
from sessions_app.models import Span, ToolCall


@admin.register(Span)
class SpanAdmin(ConversationAdmin):
    """The calls of traced agents."""

    list_display = ("name", "kind", "badge", "took", "tokens", "first_token", "conversation", "started")
    list_filter = (SessionOfRunFilter, RunFilter, "kind", "outcome", "name", "started_at")
    list_select_related = ("run__session",)
    owned_by = "run__session__user"
    ordering = ("-started_at", "-pk")
    in_order = ("started_at", "pk")
    search_fields = ("name", "finish", "error")
    search_help_text = _("Names of models and tools, reasons for stopping, codes and words of errors.")
    fieldsets = (
        (None, {"fields": ("run", "name", "kind", "badge", "step", "attempt")}),
        (
            None,
            {
                "fields": (
                    "started_at",
                    "took",
                    "first_token",
                    "tokens",
                    PARTS_OF_USAGE,
                    "retries",
                    "finish",
                    "whole_error",
                )
            },
        ),
        (_("Details"), {"classes": ("collapse",), "fields": ("id", "epoch", "step_id")}),
    )

    def for_list(self, rows: QuerySet[Span]) -> QuerySet[Span]:
        return rows.defer("error", "run__session__state", "run__session__metadata")

    @admin.display(description=_("outcome"), ordering="outcome")
    def badge(self, span: Span) -> SafeString:
        return span_badge(span)

    @admin.display(description=_("duration"), ordering="duration_ms")
    def took(self, span: Span) -> str:
        return took(span.duration_ms)

    @admin.display(description=_("first token"), ordering="first_token_ms")
    def first_token(self, span: Span) -> str:
        return took(span.first_token_ms)

    @admin.display(description=_("tokens in + out"), ordering="output_tokens")
    def tokens(self, span: Span) -> str:
        return "-" if span.input_tokens is None else f"{span.input_tokens} + {span.output_tokens}"

    @admin.display(description=pgettext_lazy("moment", "started"), ordering="started_at")
    def started(self, span: Span) -> str:
        return moment(span.started_at)

    @admin.display(description=_("session"))
    def conversation(self, span: Span) -> SafeString:
        return link(page_url(span.run.session), excerpt(str(span.run.session), 40))

    @admin.display(description=_("error"))
    def whole_error(self, span: Span) -> SafeString:
        return block(span.error)

    def related(self, row: Span) -> Iterable[Target]:
        calls = [ToolCall(step_id=row.step_id)] if row.step_id else []
        return [row.run.session, row.run, *calls]
