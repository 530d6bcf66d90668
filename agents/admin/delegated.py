"""Admin pages of rows that not every visitor with the permission may change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db.models import QuerySet
from django.http import HttpRequest

from agents.access.delegation import groups_to_manage, permissions_of


class Delegated(admin.ModelAdmin):
    """Rows of which a visitor may change those that `manageable` names; `agents.access.delegation` has the rule."""

    def manageable(self, request: HttpRequest) -> QuerySet[Any]:
        raise NotImplementedError

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_manage(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may_manage(request, obj)

    def _may_manage(self, request: HttpRequest, row: Any) -> bool:
        return row is None or row.pk is None or self.manageable(request).filter(pk=row.pk).exists()

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """A visitor is offered what they have themselves."""
        field: Any = super().formfield_for_manytomany(db_field, request, **options)
        offered: dict[Any, Any] = {Permission: permissions_of, Group: groups_to_manage}
        rule = offered.get(db_field.remote_field.model)
        if field is not None and rule is not None:
            field.queryset = field.queryset.filter(pk__in=rule(request.user).values("pk"))
        return field
