"""Sessions: the list to find one, and its page with the whole conversation."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import orjson
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from agents.audit import log_columns
from myagent.text import short_id
from sessions_app.admin.base import ConversationAdmin, Target, may_view
from sessions_app.admin.conversation import ConversationReader
from sessions_app.admin.filters import FamilyFilter, OwnerFilter, RunStatusFilter
from sessions_app.admin.search import contains, narrow
from sessions_app.admin.show import (
    badge,
    block,
    count_badges,
    excerpt,
    link,
    list_url,
    moment,
    page_url,
    pretty,
    uuid_of,
)
from sessions_app.conversation_export import EXPORTED, exported
from sessions_app.models import Confirmation, Event, Message, Run, Session, SessionFile, Span, Summary, ToolCall

RUNS_PER_PAGE = 20
# Of each timeline on this page; a run's own page has more.
BARS = 40


@admin.register(Session)
class SessionAdmin(ConversationAdmin):
    """Which user talked with which agent, when, and what was said."""

    list_display = ("name", "owner", "agent", "versions", "runs", "tokens", "active", "badge")
    list_filter = (FamilyFilter, OwnerFilter, "agent", RunStatusFilter, "status", "active_at")
    list_select_related = ("user",)
    owned_by = "user"
    ordering = ("-active_at", "-pk")
    search_fields = ("title", "user", "messages")
    search_help_text = _("Words of titles and messages, names of users, or the id of a session.")
    fieldsets = (
        (None, {"fields": (("agent", "user", "badge"), ("created_at", "active_at"), ("origin", "family"))}),
        (
            _("Details"),
            {
                "classes": ("collapse",),
                "fields": ("id", "size", "last_seq", "acked_seq", "last_position", "state_json", "metadata_json"),
            },
        ),
    )

    def for_list(self, rows: QuerySet[Session]) -> QuerySet[Session]:
        return rows.defer("state", "metadata")

    def complete(self, rows: list[Any]) -> None:
        """Count the runs of a page's sessions, and their tokens, in one query; in another one, their families."""
        runs = Run.objects.filter(session__in=[row.pk for row in rows]).values_list("session", "status")
        counts: dict[uuid.UUID, Counter[str]] = defaultdict(Counter)
        tokens: Counter[uuid.UUID] = Counter()
        counted = runs.annotate(number=Count("pk"), tokens=Sum(F("input_tokens") + F("output_tokens")))
        for session_id, status, number, spent in counted:
            counts[session_id][status] = number
            tokens[session_id] += spent
        sizes = _sizes_of_families(rows)
        for row in rows:
            row.run_counts, row.spent = counts[row.pk], tokens[row.pk]
            row.family_size = sizes[row.family_id or row.pk, row.user_id]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Sessions that match every word somewhere. Without joins, so that counting the matches is cheap."""
        user = get_user_model()

        def hits(word: str) -> list[QuerySet[Any]]:
            users = user._default_manager.filter(**{f"{user.USERNAME_FIELD}__icontains": word})
            by_themselves = Q(title__icontains=word) | Q(user__in=users) | Q(pk=uuid_of(word))
            found: list[QuerySet[Any]] = [Session.objects.filter(by_themselves).values_list("pk", flat=True)]
            if may_view(request, Message):
                found.append(Message.objects.filter(contains("content", word)).values_list("session", flat=True))
            return found

        return narrow(queryset, search_term, hits), False

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

    @admin.display(description=_("versions"))
    def versions(self, session: Any) -> SafeString | str:
        """How many sessions of its owner the family has, linked to them."""
        size = session.family_size
        return link(list_url(Session, versions=session.pk), size) if size > 1 else ""

    @admin.display(description=_("runs"))
    def runs(self, session: Any) -> SafeString:
        """How many, linked to them, and badges for those that are unfinished or failed."""
        counts: Counter[str] = session.run_counts
        shown = link(list_url(Run, session=session.pk), counts.total())
        statuses = (Run.Status.RUNNING, Run.Status.WAITING, Run.Status.QUEUED, Run.Status.FAILED)
        return format_html("{} {}", shown, count_badges(counts, statuses))

    @admin.display(description=_("tokens"))
    def tokens(self, session: Any) -> str:
        return f"{session.spent:,}"

    @admin.display(description=_("stored"))
    def size(self, session: Session) -> str:
        return "-" if session.stored_bytes is None else filesizeformat(session.stored_bytes)

    @admin.display(description=_("forked from"))
    def origin(self, session: Session) -> SafeString | str:
        """The session that this one continues, while it is there. Named if it has the same owner: whoever sees this one
        need not see that of somebody else.
        """
        if not session.forked_from:
            return "-"
        own = Session.objects.of(session.user_id).defer("state", "metadata")
        source = own.filter(pk=session.forked_from["session_id"]).first()
        name = short_id(session.forked_from["session_id"])
        return name if source is None else link(page_url(source), f"{excerpt(str(source), 60)} ({name})")

    @admin.display(description=_("versions"))
    def family(self, session: Session) -> SafeString | str:
        """What continues this session, or the same one as this. Counted are those of the same owner, as in `origin`."""
        size = Session.objects.of(session.user_id).filter(session.in_family).count()
        return link(list_url(Session, versions=session.pk), size) if size > 1 else "-"

    @admin.display(description=pgettext_lazy("what tools keep", "state"))
    def state_json(self, session: Session) -> SafeString:
        return block(pretty(session.state))

    @admin.display(description=_("metadata"))
    def metadata_json(self, session: Session) -> SafeString:
        return block(pretty(session.metadata))

    def related(self, row: Session) -> Iterable[Target]:
        return [
            (kind, {"session": row.pk}) for kind in (Run, Message, ToolCall, Confirmation, SessionFile, Span, Event)
        ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export)
        return [path("<path:object_id>/export/", view, name="sessions_app_session_export"), *super().get_urls()]

    def export(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The whole conversation as a file, for users who may view and export it."""
        session = self.get_object(request, unquote(object_id))
        if not (self.has_view_permission(request, session) and _may_export(request)):
            raise PermissionDenied
        if session is None:
            raise Http404
        content = orjson.dumps(exported(session), option=orjson.OPT_INDENT_2)
        _note_export(session, by=request.user.pk or 0)
        headers = {"Content-Disposition": f'attachment; filename="session-{session.pk}.json"'}
        return HttpResponse(content, content_type="application/json", headers=headers)

    def page_context(self, request: HttpRequest, row: Session) -> dict[str, Any]:
        if not may_view(request, Run, Message, ToolCall, Confirmation):
            return {}
        pages = Paginator(Run.objects.filter(session=row).order_by("queued_at", "pk"), RUNS_PER_PAGE)
        page = pages.get_page(request.GET.get("page", pages.num_pages))  # opens at the end of the conversation
        bars = BARS if may_view(request, Span) else 0
        reader = ConversationReader(row, bars=bars, may_see_summaries=may_view(request, Summary))
        return {
            "turns": reader.read(list(page)),
            "page": page,
            "may_read": True,
            "may_see_events": may_view(request, Event),
            "export_url": reverse("admin:sessions_app_session_export", args=[row.pk]) if _may_export(request) else "",
        }


def _sizes_of_families(rows: Iterable[Session]) -> Counter[tuple[uuid.UUID, int | None]]:
    """How many sessions each family of these has, for each owner."""
    roots = {row.family_id or row.pk for row in rows}
    members = Session.objects.filter(Q(family_id__in=roots) | Q(pk__in=roots, family_id=None))
    counted = members.order_by().values("user_id", root=Coalesce("family_id", "pk")).annotate(size=Count("pk"))
    return Counter({(row["root"], row["user_id"]): row["size"] for row in counted})


def _may_export(request: HttpRequest) -> bool:
    return may_view(request, *EXPORTED) and request.user.has_perm("sessions_app.export_session")


def _note_export(session: Session, *, by: int) -> None:
    """By its id, because the title is part of the conversation; of an anonymous one by the beginning of its id, since
    whoever knows all of it may use the session.
    """
    pk, name = (session.pk, str(session.pk)) if session.user_id is not None else ("", short_id(session.pk))
    LogEntry.objects.create(**log_columns(Session, pk, name, user_id=by, message=str(_("Exported."))))
