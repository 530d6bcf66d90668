"""The audit log: Django's own log of who did what."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from agents.admin.read_only import ReadOnlyAdmin


@admin.register(LogEntry)
class AuditAdmin(ReadOnlyAdmin):
    """Read-only. A user with entries cannot be deleted, but deactivated."""

    list_display = ("action_time", "user", "what", "subject")
    list_display_links = None
    list_select_related = ("user", "content_type")
    list_filter = (
        ("user", admin.RelatedOnlyFieldListFilter),
        "action_flag",
        ("content_type", admin.RelatedOnlyFieldListFilter),
    )
    search_fields = ("object_repr", "change_message", "object_id", "user__username")
    date_hierarchy = "action_time"
    actions = None

    @admin.display(description=_("object"))
    def subject(self, entry: LogEntry) -> SafeString | str:
        """What kind of thing it was, linked to its page: its name may be an id, because names tell what people said."""
        name = f"{entry.content_type.name} {entry.object_repr}" if entry.content_type else entry.object_repr
        try:
            url = entry.get_admin_url()
        except NoReverseMatch:
            url = None
        return format_html('<a href="{}">{}</a>', url, name) if url else name

    @admin.display(description=_("what"))
    def what(self, entry: LogEntry) -> str:
        return str(entry.get_change_message() or entry.get_action_flag_display())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
