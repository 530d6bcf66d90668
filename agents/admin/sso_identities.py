"""Identities of the single sign-on in the admin, where administrators link them to users."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, ForeignKey, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from agents.access.delegation import users_to_manage
from agents.admin.delegated import Delegated
from agents.models import SsoIdentity


@admin.register(SsoIdentity)
class SsoIdentityAdmin(Delegated):
    """Which person of the single sign-on is which user; those who wait for that come first."""

    list_display = ("claimed_name", "linked_to", "subject", "issuer", "created_at")
    list_filter = (("user", admin.EmptyFieldListFilter), "issuer")
    list_select_related = ("user",)
    search_fields = ("claimed_name", "subject", "user__username")
    autocomplete_fields = ("user",)
    ordering = (F("user").asc(nulls_first=True), "-created_at")
    fields = ("issuer", "subject", "claimed_name", "user", "created_at")

    def manageable(self, request: HttpRequest) -> QuerySet[Any]:
        return SsoIdentity.objects.filter(Q(user=None) | Q(user__in=users_to_manage(request.user).values("pk")))

    @admin.display(description=_("user"), ordering="user")
    def linked_to(self, row: SsoIdentity) -> Any:
        return row.user or _("waits to be linked")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only whom it belongs to can be changed."""
        return ("claimed_name", "created_at") if obj is None else ("issuer", "subject", "claimed_name", "created_at")

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **options: Any) -> Any:
        """Whoever links an identity lets it act as that user: only one whose account they may change."""
        if db_field.name == "user":
            options["queryset"] = users_to_manage(request.user)
        return super().formfield_for_foreignkey(db_field, request, **options)
