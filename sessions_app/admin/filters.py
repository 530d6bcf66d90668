"""Filters of the lists, in addition to Django's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from myagent.protocol import server_events
from myagent.protocol.server_base import ServerEvent
from sessions_app.admin.base import visible
from sessions_app.admin.show import OUTCOMES, excerpt, uuid_of
from sessions_app.models import Run, Session


class ParentFilter(admin.SimpleListFilter):
    """Narrows a list to what belongs to one row, whose page links here. Shown only while it is in effect."""

    parent: ClassVar[type[Model]]
    path: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        value = self.value()
        if not value:
            return []
        try:
            row = self._visible(request, model_admin).filter(pk=value).first()
        except (ValidationError, ValueError):
            row = None
        return [(value, excerpt(str(row or value), 40))]

    def _visible(self, request: HttpRequest, model_admin: Any) -> QuerySet[Any]:
        """The rows whose names this visitor may see."""
        rows: QuerySet[Any] = model_admin.admin_site.get_model_admin(self.parent).get_queryset(request)
        return rows

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        try:
            return queryset.filter(**{self.path: value})
        except (ValidationError, ValueError):
            return queryset.none()


class SessionFilter(ParentFilter):
    title = _("session")
    parameter_name = "session"
    parent = Session
    path = "session"


class SessionOfRunFilter(SessionFilter):
    path = "run__session"


class RunFilter(ParentFilter):
    title = _("run")
    parameter_name = "run"
    parent = Run
    path = "run"


class UserFilter(ParentFilter):
    title = _("user")
    parameter_name = "user"
    path = "user"

    @property
    def parent(self) -> type[Model]:  # type: ignore[override]  # known only when the apps are loaded
        return get_user_model()

    def _visible(self, request: HttpRequest, model_admin: Any) -> QuerySet[Any]:
        return visible(request, get_user_model()._default_manager.all(), "pk")


class OwnerFilter(UserFilter):
    """By the owner of the session. Offers the first users only; the search finds all."""

    OFFERED = 20
    ANONYMOUS = "nobody"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        if self.value() not in (None, "", self.ANONYMOUS):
            return super().lookups(request, model_admin)
        users, visible = get_user_model(), model_admin.get_queryset(request)
        owners = users._default_manager.filter(Exists(visible.filter(user=OuterRef("pk"))))
        offered = [(user.pk, user.get_username()) for user in owners.order_by(users.USERNAME_FIELD)[: self.OFFERED]]
        return [*offered, (self.ANONYMOUS, _("anonymous"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == self.ANONYMOUS:
            return queryset.filter(user=None)
        return super().queryset(request, queryset)


class AgentFilter(admin.SimpleListFilter):
    """By the agents of the sessions that this visitor may see."""

    title = _("agent")
    parameter_name = path = "session__agent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        sessions = model_admin.admin_site.get_model_admin(Session).get_queryset(request).order_by("agent")
        return [(name, name) for name in sessions.values_list("agent", flat=True).distinct()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.path: self.value()}) if self.value() else queryset


class RunStatusFilter(admin.SimpleListFilter):
    """Sessions that have a run with this status."""

    title = _("runs")
    parameter_name = "runs"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(status.value, status.label) for status in Run.Status]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(Exists(Run.objects.filter(session=OuterRef("pk"), status=self.value())))


class FamilyFilter(SessionFilter):
    """The family of a session, named by any of it that this visitor may see: so no id is told that they do not know."""

    title = _("versions of")
    parameter_name = "versions"
    _known: Session | None = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        named = uuid_of(self.value() or "")
        self._known = self._visible(request, model_admin).filter(pk=named).first() if named else None
        return super().lookups(request, model_admin)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.none() if self._known is None else queryset.filter(self._known.in_family)


class OutcomeFilter(admin.SimpleListFilter):
    """By the outcome of tool calls, in words."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(OUTCOMES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class EventNameFilter(admin.SimpleListFilter):
    """By all names that a logged event may have; asking the log itself would mean reading all of it."""

    title = _("event")
    parameter_name = "name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(set(_logged_names()))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(name=self.value()) if self.value() else queryset


def _logged_names() -> Iterator[str]:
    for kind in vars(server_events).values():
        if isinstance(kind, type) and issubclass(kind, ServerEvent) and kind is not ServerEvent:
            yield kind.model_fields["event"].default
