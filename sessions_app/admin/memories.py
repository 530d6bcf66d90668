"""What agents remember of users: to be seen, and to be deleted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from sessions_app.admin.base import ConversationAdmin
from sessions_app.admin.filters import UserFilter
from sessions_app.admin.show import block, excerpt, moment
from sessions_app.models import Memory


@admin.register(Memory)
class MemoryAdmin(ConversationAdmin):
    """One row for each thing. Tools and hooks write them; whoever may delete memories takes them away here."""

    list_display = ("key", "gist", "user", "agent", "changed")
    list_filter = (UserFilter, "agent", "changed_at")
    list_select_related = ("user",)
    ordering = ("-changed_at", "-pk")
    search_fields = ("key", "text")
    fieldsets = ((None, {"fields": ("user", "agent", "key", "whole_text", "changed_at")}),)
    owned_by = "user"
    actions = ("delete_selected",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("sessions_app.delete_memory")

    @admin.display(description=_("text"))
    def gist(self, memory: Memory) -> str:
        return excerpt(memory.text)

    @admin.display(description=_("text"))
    def whole_text(self, memory: Memory) -> SafeString:
        return block(memory.text)

    @admin.display(description=_("changed"), ordering="changed_at")
    def changed(self, memory: Memory) -> str:
        return moment(memory.changed_at)
