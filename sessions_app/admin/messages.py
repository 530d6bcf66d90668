"""Messages as the model reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.db.models.functions import Substr
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from sessions_app.admin.base import ConversationAdmin, Target
from sessions_app.admin.filters import RunFilter, SessionFilter
from sessions_app.admin.pictures import picture, shown, without_pictures
from sessions_app.admin.search import contains, narrow
from sessions_app.admin.show import EXCERPT, WHOLE, block, cut, excerpt, link, moment, page_url, pretty
from sessions_app.models import Message, Run, Session


@admin.register(Message)
class MessageAdmin(ConversationAdmin):
    """The history of conversations, message by message."""

    list_display = ("position", "role", "text", "conversation", "created")
    list_display_links = ("position", "text")
    list_filter = (SessionFilter, RunFilter, "role", "created_at")
    list_select_related = ("session",)
    ordering = ("-pk",)
    in_order = (F("position").asc(nulls_last=True), "pk")
    search_fields = ("content",)
    fieldsets = (
        (None, {"fields": ("session", "run", "role", "created_at", "whole", "pictures", "parts_json", "calls_json")}),
        (_("Details"), {"classes": ("collapse",), "fields": ("id", "position", "tool_call_id", "client_id")}),
    )

    def for_list(self, rows: QuerySet[Message]) -> QuerySet[Message]:
        long = ("content", "parts", "provider_data", "session__state", "session__metadata")
        return rows.annotate(beginning=Substr("content", 1, EXCERPT * 4)).defer(*long)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        def hits(word: str) -> list[QuerySet[Any]]:
            return [Message.objects.filter(contains("content", word)).values_list("pk", flat=True)]

        return narrow(queryset, search_term, hits), False

    @admin.display(description=_("content"))
    def text(self, message: Any) -> str:
        if message.beginning or not message.tool_calls:
            return excerpt(message.beginning)
        return excerpt(", ".join(f"→ {call['name']}" for call in message.tool_calls))

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, message: Message) -> str:
        return moment(message.created_at)

    @admin.display(description=_("session"))
    def conversation(self, message: Message) -> SafeString:
        return link(page_url(message.session), excerpt(str(message.session), 40))

    @admin.display(description=_("content"))
    def whole(self, message: Message) -> SafeString:
        return block(cut(message.content, WHOLE))

    @admin.display(description=_("content parts"))
    def parts_json(self, message: Message) -> SafeString:
        return block(pretty(without_pictures(message.parts)) if message.parts else "")

    @admin.display(description=_("pictures"))
    def pictures(self, message: Message) -> SafeString:
        return shown(message)

    @admin.display(description=_("tool calls"))
    def calls_json(self, message: Message) -> SafeString:
        return block(pretty(message.tool_calls) if message.tool_calls else "")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.picture)
        name = "sessions_app_message_picture"
        return [path("<path:object_id>/picture/<int:index>/", view, name=name), *super().get_urls()]

    def picture(self, request: HttpRequest, object_id: str, index: int) -> HttpResponse:
        """One picture of a message, for whoever may see the message."""
        message = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, message):
            raise PermissionDenied
        if message is None:
            raise Http404
        return picture(message, index)

    def related(self, row: Message) -> Iterable[Target]:
        return [Session(pk=row.session_id), Run(pk=row.run_id)]
