"""Cancelling runs from their pages and from their list, for users with the permission `cancel_any_run`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from sessions_app.admin.base import ConversationAdmin
from sessions_app.admin.show import page_url
from sessions_app.journal.commit import commit
from sessions_app.journal.entries.sessions import CancelRuns
from sessions_app.journal.refusal import Refused
from sessions_app.journal.run_log import log_end
from sessions_app.models import Run

BY_STAFF = "staff"
"""The `reason` with which such a run ends."""


def cancel_runs(runs: Iterable[Run], *, by: int) -> int:
    """Cancel these runs in the name of the user `by`; returns how many had not ended yet.

    Blocking, for the threads of Django's pages. The owners of the runs find out by themselves within a second, as of
    everything that other processes do.
    """
    entries = [CancelRuns(session_id=run.session_id, only=run.pk, by=by, reason=BY_STAFF) for run in runs]
    committed = commit(entries)
    for end in committed.ended:
        log_end(end, model="")
    return sum(len(outcome) for outcome in committed.results if not isinstance(outcome, Refused))


class CancellableAdmin(ConversationAdmin):
    """Runs that can be viewed and cancelled."""

    actions: tuple[str, ...] = ("cancel",)

    def has_cancel_any_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("sessions_app.cancel_any_run")

    @admin.action(description=_("Cancel the selected runs"), permissions=["cancel_any"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._cancel(request, queryset)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.cancel_view)
        return [path("<path:object_id>/cancel/", view, name="sessions_app_run_cancel"), *super().get_urls()]

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The target of the button on a run's page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        run = self.get_object(request, unquote(object_id))
        if not (self.has_view_permission(request, run) and self.has_cancel_any_permission(request)):
            raise PermissionDenied
        if run is None:
            raise Http404
        self._cancel(request, [run])
        return HttpResponseRedirect(page_url(run))

    def _cancel(self, request: HttpRequest, runs: Iterable[Run]) -> None:
        count = cancel_runs(runs, by=request.user.pk or 0)
        if count:
            words = ngettext("%(count)d run was cancelled.", "%(count)d runs were cancelled.", count)
            self.message_user(request, words % {"count": count})
        else:
            self.message_user(request, _("Nothing is to be cancelled: it has ended already."), messages.WARNING)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        may_cancel = row.status in Run.UNFINISHED and self.has_cancel_any_permission(request)
        return {"cancel_url": reverse("admin:sessions_app_run_cancel", args=[row.pk]) if may_cancel else ""}
