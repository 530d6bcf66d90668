from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from agents.models import AccessToken, HostedAgent


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


@admin.register(AccessToken)
class AccessTokenAdmin(admin.ModelAdmin):
    """Tokens can be looked at and revoked; they are made by `createtoken`, which shows them once."""

    list_display = ("name", "prefix", "user", "state", "created_at", "expires_at", "last_used_at")
    list_filter = ("user",)
    search_fields = ("name", "user__username")
    fields = ("name", "prefix", "user", "agents", "state", "created_at", "expires_at", "last_used_at", "revoked_at")
    readonly_fields = fields
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description=_("state"))
    def state(self, token: AccessToken) -> Any:
        return token.state(timezone.now())

    @admin.action(description=_("Revoke the selected tokens"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AccessToken]) -> None:
        now = timezone.now()
        for token in queryset:
            token.revoke(now)
        self.message_user(request, _("Revoked; open connections are closed within seconds."))
