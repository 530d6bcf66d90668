"""Sessions: the list to find one, and its page with the whole conversation."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from sessions_app.admin.base import ReadOnlyAdmin, Target, may_view
from sessions_app.admin.conversation import turns_of
from sessions_app.admin.filters import UserFilter
from sessions_app.admin.show import badge, block, excerpt, link, list_url, moment, pretty, uuid_of
from sessions_app.models import Confirmation, Event, Message, Run, Session, ToolCall

RUNS_PER_PAGE = 20


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    """Who talked with which agent, when, and what was said."""

    list_display = ("name", "agent", "owner", "badge", "runs", "active")
    list_filter = (UserFilter, "status", "agent", "active_at")
    list_select_related = ("user",)
    ordering = ("-active_at", "-pk")
    search_fields = ("title", "user", "messages")
    search_help_text = _("Words of titles and messages, names of users, or the id of a session.")
    fieldsets = (
        (None, {"fields": ("agent", "user", "badge", "created_at", "active_at")}),
        (
            _("Details"),
            {
                "classes": ("collapse",),
                "fields": ("id", "last_seq", "acked_seq", "last_position", "state_json", "metadata_json"),
            },
        ),
    )

    def for_list(self, rows: QuerySet[Session]) -> QuerySet[Session]:
        return rows.defer("state", "metadata")

    def complete(self, rows: list[Any]) -> None:
        """Count the runs of a page's sessions in one query."""
        counted = Run.objects.filter(session__in=[row.pk for row in rows]).values_list("session", "status")
        counts: dict[uuid.UUID, Counter[str]] = defaultdict(Counter)
        for session_id, status, number in counted.annotate(number=Count("pk")):
            counts[session_id][status] = number
        for row in rows:
            row.run_counts = counts[row.pk]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Sessions for which every word is found somewhere. Without joins, so that counting what was found is cheap."""
        user = get_user_model()
        for word in search_term.split():
            users = user._default_manager.filter(**{f"{user.USERNAME_FIELD}__icontains": word})
            found = Q(title__icontains=word) | Q(user__in=users)
            if may_view(request, Message):
                found |= Q(pk__in=Message.objects.filter(content__icontains=word).values("session"))
            if (session_id := uuid_of(word)) is not None:
                found |= Q(pk=session_id)
            queryset = queryset.filter(found)
        return queryset, False

    @admin.display(description=_("title"), ordering="title")
    def name(self, session: Session) -> str:
        return excerpt(str(session), 60)

    @admin.display(description=_("user"), ordering="user")
    def owner(self, session: Session) -> SafeString | str:
        return link(list_url(Session, user=session.user_id), session.user) if session.user else "-"

    @admin.display(description=_("last active"), ordering="active_at")
    def active(self, session: Session) -> str:
        return moment(session.active_at)

    @admin.display(description=_("status"), ordering="status")
    def badge(self, session: Session) -> SafeString:
        return badge(session)

    @admin.display(description=_("runs"))
    def runs(self, session: Any) -> SafeString:
        """How many, linked to them; beside it what goes on or went wrong."""
        counts: Counter[str] = session.run_counts
        shown = link(list_url(Run, session=session.pk), counts.total())
        for status in (Run.Status.RUNNING, Run.Status.WAITING, Run.Status.QUEUED, Run.Status.FAILED):
            if number := counts[status]:
                text = status.label if number == 1 else f"{number} {status.label}"
                shown = format_html('{} <span class="badge badge-{}">{}</span>', shown, status.value, text)
        return shown

    @admin.display(description=pgettext_lazy("what tools keep", "state"))
    def state_json(self, session: Session) -> SafeString:
        return block(pretty(session.state))

    @admin.display(description=_("metadata"))
    def metadata_json(self, session: Session) -> SafeString:
        return block(pretty(session.metadata))

    def related(self, row: Session) -> Iterable[Target]:
        return [(kind, {"session": row.pk}) for kind in (Run, Message, ToolCall, Confirmation, Event)]

    def page_context(self, request: HttpRequest, row: Session) -> dict[str, Any]:
        if not may_view(request, Run, Message, ToolCall, Confirmation):
            return {}
        pages = Paginator(Run.objects.filter(session=row).order_by("queued_at", "pk"), RUNS_PER_PAGE)
        page = pages.get_page(request.GET.get("page", pages.num_pages))  # opens at the end of the conversation
        return {"turns": turns_of(list(page)), "page": page, "may_read": True}
