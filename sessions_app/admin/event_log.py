"""The event log: what was sent over the wire, event by event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Substr
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from pydantic_core import from_json

from sessions_app.admin.base import ConversationAdmin, Target
from sessions_app.admin.filters import EventNameFilter, SessionFilter
from sessions_app.admin.show import block, excerpt, link, moment, page_url, pretty
from sessions_app.models import Event, Session

# Of a frame; enough to reach its content behind the envelope.
BEGINNING = 600


@admin.register(Event)
class EventAdmin(ConversationAdmin):
    """Every event of every session, as it was sent to clients."""

    list_display = ("seq", "name", "text", "conversation", "created")
    list_display_links = ("seq", "name")
    list_filter = (SessionFilter, EventNameFilter)
    list_select_related = ("session",)
    list_per_page = 100
    show_facets = admin.ShowFacets.NEVER  # the log is by far the longest table
    ordering = ("-pk",)
    in_order = ("seq",)
    search_fields = ("frame",)
    search_help_text = _("In one session: any text of its events. Over all: the step id of an event.")
    fieldsets = (
        (None, {"fields": ("session", "seq", "name", "created_at", "frame_json")}),
        (_("Details"), {"classes": ("collapse",), "fields": ("id", "step_id")}),
    )

    def for_list(self, rows: QuerySet[Event]) -> QuerySet[Event]:
        beginning = rows.annotate(beginning=Substr("frame", 1, BEGINNING))
        return beginning.defer("frame", "session__state", "session__metadata")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        found = Q(step_id=search_term.strip())
        if "session" in request.GET:
            found |= Q(frame__icontains=search_term)
        return queryset.filter(found), False

    @admin.display(description=_("content"))
    def text(self, event: Any) -> str:
        content = from_json(event.beginning, allow_partial="trailing-strings").get("content", "")
        return excerpt(content if isinstance(content, str) else pretty(content))

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, event: Event) -> str:
        return moment(event.created_at)

    @admin.display(description=_("session"))
    def conversation(self, event: Event) -> SafeString:
        return link(page_url(event.session), excerpt(str(event.session), 40))

    @admin.display(description=_("frame"))
    def frame_json(self, event: Event) -> SafeString:
        return block(pretty(orjson.loads(event.frame)))

    def related(self, row: Event) -> Iterable[Target]:
        return [Session(pk=row.session_id), (Event, {"session": row.session_id})]
