"""Runs: the cost of each, and what happened in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Substr
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from agents.admin.use import cost_in_words
from sessions_app.admin.base import Target, may_view
from sessions_app.admin.cancel_runs import CancellableAdmin
from sessions_app.admin.conversation import ConversationReader
from sessions_app.admin.filters import AgentFilter, SessionFilter
from sessions_app.admin.rated_runs import RatedAdmin, RatingFilter, sign_of
from sessions_app.admin.show import (
    EXCERPT,
    PARTS_OF_USAGE,
    excerpt,
    link,
    milliseconds_between,
    moment,
    page_url,
    run_badge,
    took,
    uuid_of,
)
from sessions_app.models import Confirmation, Event, Message, Run, Span, Summary, ToolCall

USAGE = ("steps", "llm_calls", "input_tokens", "output_tokens")
# Of a timeline; further spans are counted, and found in the list of spans.
BARS = 300
# Characters of a title that is what somebody said.
TITLE = 80


@admin.register(Run)
class RunAdmin(CancellableAdmin, RatedAdmin):
    """One run for each message of a user."""

    list_display = ("words", "badge", "tokens", "duration", "conversation", "agent", "queued", "steps")
    list_filter = (SessionFilter, "status", "finish", RatingFilter, AgentFilter, "queued_at")
    actions = ("cancel", "export_feedback")
    list_select_related = ("session",)
    ordering = ("-queued_at", "-pk")
    in_order = ("queued_at", "pk")
    search_fields = ("error_code", "error_detail")
    search_help_text = _("The id of a run or a session, an error code, or the option of a limit (max_tokens).")
    fieldsets = (
        (None, {"fields": ("session", ("agent", "badge", "duration"), USAGE, PARTS_OF_USAGE, "cost", "error_detail")}),
        (
            _("Details"),
            {
                "classes": ("collapse",),
                "fields": (
                    "id",
                    "queued_at",
                    "started_at",
                    "finished_at",
                    "owner",
                    "epoch",
                    "attempts",
                    "lease_until",
                ),
            },
        ),
    )

    def for_list(self, rows: QuerySet[Run]) -> QuerySet[Run]:
        return rows.defer("end_state", "session__state", "session__metadata")

    def get_fieldsets(self, request: HttpRequest, obj: Run | None = None) -> Any:
        """With the cost and, for those who may read it, the feedback, where there is some."""
        (head, options), *others = super().get_fieldsets(request, obj)
        if obj is None or not obj.currency:
            options = {**options, "fields": [name for name in options["fields"] if name != "cost"]}
        if obj is None or not obj.rating or not may_view(request, Message):
            return [(head, options), *others]
        return [(head, {**options, "fields": (*options["fields"], "feedback")}), *others]

    def get_list_display(self, request: HttpRequest) -> Any:
        return [name for name in self.list_display if name != "words" or may_view(request, Message)]

    def complete(self, rows: list[Any]) -> None:
        """Add what was said to begin each run, in one query."""
        said = _said([row.pk for row in rows])
        for row in rows:
            row.said = said.get(row.pk, "")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        for word in search_term.split():
            queryset = queryset.filter(_found(word))
        return queryset, False

    @admin.display(description=_("message"))
    def words(self, run: Any) -> str:
        """What the user said, or when and how it ended where that has no words."""
        return excerpt(run.said, 80) or str(run)

    @admin.display(description=pgettext_lazy("moment", "queued"), ordering="queued_at")
    def queued(self, run: Run) -> str:
        return moment(run.queued_at)

    @admin.display(description=_("session"), ordering="session__title")
    def conversation(self, run: Run) -> SafeString:
        return link(page_url(run.session), excerpt(str(run.session), 50))

    @admin.display(description=_("agent"), ordering="session__agent")
    def agent(self, run: Run) -> str:
        return run.session.agent

    @admin.display(description=_("status"), ordering="status")
    def badge(self, run: Run) -> SafeString:
        more = run.error_code or run.get_limit_display()
        if run.finish == Run.Finish.LENGTH:
            more = run.get_finish_display()
        return format_html("{} {} {}", run_badge(run), more, sign_of(run))

    @admin.display(description=_("tokens in + out"))
    def tokens(self, run: Run) -> str:
        return f"{run.input_tokens} + {run.output_tokens}"

    @admin.display(description=_("cost"))
    def cost(self, run: Run) -> Any:
        return cost_in_words(run)

    @admin.display(description=_("duration"))
    def duration(self, run: Run) -> str:
        return took(milliseconds_between(run.started_at, run.finished_at))

    def related(self, row: Run) -> Iterable[Target]:
        narrowed = [(kind, {"run": row.pk}) for kind in (Message, ToolCall, Confirmation, Span)]
        return [row.session, *narrowed, (Event, {"session": row.session_id, "q": row.pk})]

    def page_context(self, request: HttpRequest, row: Run) -> dict[str, Any]:
        context = super().page_context(request, row)
        if may_view(request, Message) and (said := excerpt(_said([row.pk]).get(row.pk, ""), TITLE)):
            context["subtitle"] = said
        if not may_view(request, Message, ToolCall, Confirmation):
            return context
        bars = BARS if may_view(request, Span) else 0
        reader = ConversationReader(row.session, bars=bars, may_see_summaries=may_view(request, Summary))
        return {
            **context,
            "turns": reader.read([row]),
            "may_read": True,
            "may_see_events": may_view(request, Event),
            "whole_timeline": True,
        }


def _said(runs: Iterable[UUID]) -> dict[UUID, str]:
    """The beginnings of what users said to begin these runs."""
    first = Message.objects.filter(run__in=runs, role=Message.Role.USER).order_by("-pk")
    return dict(first.values_list("run", Substr("content", 1, EXCERPT * 4)))


def _found(word: str) -> Q:
    if (pk := uuid_of(word)) is not None:
        return Q(pk=pk) | Q(session=pk)
    return Q(error_code__icontains=word) | Q(error_detail__icontains=word) | Q(limit=word)
