"""Tool calls, and the questions that people were asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from sessions_app.admin.base import ConversationAdmin, Target
from sessions_app.admin.filters import OutcomeFilter, RunFilter, SessionOfRunFilter
from sessions_app.admin.show import (
    WHOLE,
    badge,
    block,
    cut,
    excerpt,
    gist,
    link,
    moment,
    outcome_badge,
    page_url,
    pretty,
    took,
    verdict,
)
from sessions_app.models import Confirmation, ToolCall


class OfRunAdmin(ConversationAdmin):
    """Rows that belong to a run."""

    owned_by = "run__session__user"
    list_select_related = ("run__session",)

    @admin.display(description=_("session"))
    def conversation(self, row: Any) -> SafeString:
        return link(page_url(row.run.session), excerpt(str(row.run.session), 40))

    @admin.display(description=pgettext_lazy("moment", "asked"), ordering="asked_at")
    def asked_on(self, row: Any) -> str:
        return moment(row.asked_at)

    def related(self, row: Any) -> Iterable[Target]:
        return [row.run.session, row.run]


@admin.register(ToolCall)
class ToolCallAdmin(OfRunAdmin):
    """The calls of tools, their results, and how long they took."""

    list_display = ("tool", "gist", "badge", "took", "conversation", "asked_on")
    list_filter = (SessionOfRunFilter, RunFilter, "status", OutcomeFilter, "tool", "asked_at")
    ordering = ("-asked_at", "-pk")
    in_order = ("position", "pk")
    search_fields = ("tool", "arguments", "result", "error")
    fieldsets = (
        (None, {"fields": ("run", "tool", "badge", "took", "asked_at", "finished_at")}),
        (None, {"fields": ("arguments_json", "arguments_run_json", "whole_result", "whole_error")}),
        (_("Details"), {"classes": ("collapse",), "fields": ("step", "index", "call_id", "step_id", "position")}),
    )

    def for_list(self, rows: QuerySet[ToolCall]) -> QuerySet[ToolCall]:
        return rows.defer("result", "error", "arguments_run", "run__session__state", "run__session__metadata")

    @admin.display(description=_("arguments"))
    def gist(self, call: ToolCall) -> str:
        return gist(call.arguments)

    @admin.display(description=_("status"), ordering="status")
    def badge(self, call: ToolCall) -> SafeString:
        """Its outcome, or its status until it has one."""
        if not call.outcome:
            return badge(call)
        return outcome_badge(call.outcome)

    @admin.display(description=_("duration"), ordering="duration_ms")
    def took(self, call: ToolCall) -> str:
        return took(call.duration_ms)

    @admin.display(description=_("arguments asked"))
    def arguments_json(self, call: ToolCall) -> SafeString:
        return block(pretty(call.arguments))

    @admin.display(description=_("arguments run"))
    def arguments_run_json(self, call: ToolCall) -> SafeString:
        return block(pretty(call.arguments_run) if call.arguments_run is not None else "")

    @admin.display(description=_("result"))
    def whole_result(self, call: ToolCall) -> SafeString:
        return block(cut(call.result, WHOLE))

    @admin.display(description=_("error"))
    def whole_error(self, call: ToolCall) -> SafeString:
        return block(cut(call.error, WHOLE))

    def related(self, row: ToolCall) -> Iterable[Target]:
        return [*super().related(row), *row.confirmations.all()]


@admin.register(Confirmation)
class ConfirmationAdmin(OfRunAdmin):
    """What users were asked before a tool ran, and their answers."""

    list_display = ("asked", "gist", "verdict", "answered_by", "conversation", "asked_on")
    list_filter = (SessionOfRunFilter, RunFilter, "asked_at")
    ordering = ("-asked_at", "-pk")
    in_order = ("asked_at", "pk")
    search_fields = ("question", "answered_by")
    fieldsets = (
        (None, {"fields": ("run", "tool_call", "whole_question", "arguments_json", "verdict", "answered_by")}),
        (None, {"fields": ("arguments_run_json", "asked_at", "expires_at", "answered_at", "answer_json")}),
        (_("Details"), {"classes": ("collapse",), "fields": ("step_id",)}),
    )

    def for_list(self, rows: QuerySet[Confirmation]) -> QuerySet[Confirmation]:
        call = ("tool_call__result", "tool_call__error", "tool_call__arguments_run")
        return rows.select_related("tool_call").defer(*call, "run__session__state", "run__session__metadata")

    @admin.display(description=_("question"))
    def asked(self, confirmation: Confirmation) -> str:
        return excerpt(confirmation.question)

    @admin.display(description=_("answer"))
    def verdict(self, confirmation: Confirmation) -> Any:
        return verdict(confirmation.answer)

    @admin.display(description=_("arguments"))
    def gist(self, confirmation: Confirmation) -> str:
        """What was asked for: the tool that waits, and its arguments."""
        call = confirmation.tool_call
        return f"{call.tool}({gist(call.arguments)})" if call is not None else "-"

    @admin.display(description=_("arguments asked"))
    def arguments_json(self, confirmation: Confirmation) -> SafeString:
        return block(pretty(confirmation.tool_call.arguments) if confirmation.tool_call is not None else "")

    @admin.display(description=_("arguments run"))
    def arguments_run_json(self, confirmation: Confirmation) -> SafeString:
        call = confirmation.tool_call
        return block(pretty(call.arguments_run) if call is not None and call.arguments_run is not None else "")

    @admin.display(description=_("question"))
    def whole_question(self, confirmation: Confirmation) -> SafeString:
        return block(confirmation.question)

    @admin.display(description=_("answer as sent"))
    def answer_json(self, confirmation: Confirmation) -> SafeString:
        return block(pretty(confirmation.answer) if confirmation.answer is not None else "")

    def related(self, row: Confirmation) -> Iterable[Target]:
        return [*super().related(row), *([row.tool_call] if row.tool_call else [])]
