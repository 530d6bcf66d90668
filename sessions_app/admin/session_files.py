"""The files of conversations: which there are, and their bytes for whoever may see the conversation."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from sessions_app.admin.base import ConversationAdmin, Target
from sessions_app.admin.filters import SessionFilter
from sessions_app.admin.show import excerpt, link, moment, page_url
from sessions_app.files.file_headers import file_headers
from sessions_app.files.file_store import files_of, read
from sessions_app.models import SessionFile


@admin.register(SessionFile)
class SessionFileAdmin(ConversationAdmin):
    """What users have attached."""

    list_display = ("shown_name", "kind", "size", "conversation", "created")
    list_filter = (SessionFilter, "file__type", "created_at")
    list_select_related = ("session", "file")
    ordering = ("-pk",)
    in_order = ("pk",)
    search_fields = ("name",)
    fieldsets = (
        (None, {"fields": ("session", "shown_name", "kind", "size", "created_at", "content_link")}),
        (_("Details"), {"classes": ("collapse",), "fields": ("id", "file_id", "encoding", "digest")}),
    )

    def for_list(self, rows: QuerySet[SessionFile]) -> QuerySet[SessionFile]:
        return rows.defer("session__state", "session__metadata")

    @admin.display(description=_("name"), ordering="name")
    def shown_name(self, row: SessionFile) -> str:
        return excerpt(row.name, 60)

    @admin.display(description=_("type"))
    def kind(self, row: SessionFile) -> str:
        return row.file.type

    @admin.display(description=_("size"), ordering="file__size")
    def size(self, row: SessionFile) -> str:
        return filesizeformat(row.file.size)

    @admin.display(description=_("session"))
    def conversation(self, row: SessionFile) -> SafeString:
        return link(page_url(row.session), excerpt(str(row.session), 40))

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, row: SessionFile) -> str:
        return moment(row.created_at)

    @admin.display(description=_("encoding"))
    def encoding(self, row: SessionFile) -> str:
        return row.file.encoding or "-"

    @admin.display(description="SHA-256")
    def digest(self, row: SessionFile) -> str:
        return row.file.sha256

    @admin.display(description=_("content"))
    def content_link(self, row: SessionFile) -> SafeString:
        return link(reverse("admin:sessions_app_sessionfile_content", args=[row.file_id]), _("Open or save"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.content)
        return [path("<uuid:file_id>/content/", view, name="sessions_app_sessionfile_content"), *super().get_urls()]

    def content(self, request: HttpRequest, file_id: UUID) -> HttpResponse:
        """The bytes of a file, for whoever may see a conversation that has it."""
        row = self.get_queryset(request).filter(file_id=file_id).first()
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        (facts,) = files_of(row.session_id, [file_id])
        try:
            content = read(facts)
        except OSError as error:
            raise Http404 from error
        return HttpResponse(content, headers=file_headers(facts))

    def related(self, row: SessionFile) -> Iterable[Target]:
        return [row.session]
