from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from agents import admin_audit, admin_people, admin_tokens
from agents.models import HostedAgent

__all__ = ["HostedAgentAdmin", "admin_audit", "admin_people", "admin_tokens"]


@admin.register(HostedAgent)
class HostedAgentAdmin(admin.ModelAdmin):
    """What servers have loaded is shown; what an operator decides can be changed."""

    list_display = ("name", "enabled", "model", "source", "loaded_at", "failed_at")
    list_editable = ("enabled",)
    list_filter = ("enabled",)
    search_fields = ("name", "description")
    readonly_fields = ("name", "description", "source", "tool_list", "model", "loaded_at", "failed_at", "error")
    fields = (*readonly_fields[:5], "enabled", "groups", "max_runs", "tokens_per_day", *readonly_fields[5:])
    filter_horizontal = ("groups",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a server adds what it loads

    @admin.display(description=_("tools"))
    def tool_list(self, agent: HostedAgent) -> SafeString | str:
        lines = ((tool.get("name", ""), tool.get("description", "")) for tool in agent.tools)
        return format_html_join(mark_safe("<br>"), "<code>{}</code> {}", lines) or "-"
