"""Users and groups in the admin, with their budgets and what they have used today."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agents.admin.read_only import ReadOnlyAdmin
from agents.models import GroupBudget, Usage, UserBudget


def with_use_of_today(rows: QuerySet[Any], **match: Any) -> QuerySet[Any]:
    """`rows` annotated with the tokens used today, as `used`; `match` says whose use belongs to a row."""
    used = Usage.objects.on(timezone.localdate()).filter(**match).order_by().values(*match)
    summed = used.annotate(tokens=Sum(F("input_tokens") + F("output_tokens"))).values("tokens")
    annotated: QuerySet[Any] = rows.annotate(used=Coalesce(Subquery(summed), 0))
    return annotated


class UsedToday(admin.ModelAdmin):
    """A list with a column of the tokens used today."""

    used_by: dict[str, Any]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_use_of_today(super().get_queryset(request), **self.used_by)

    @admin.display(description=_("tokens today"), ordering="used")
    def used_today(self, row: Any) -> str:
        return f"{getattr(row, 'used', 0):,}"  # a row that is being added has no use yet


class UserBudgetInline(admin.StackedInline):
    model = UserBudget
    can_delete = True
    verbose_name = verbose_name_plural = _("budget")


class GroupBudgetInline(admin.StackedInline):
    model = GroupBudget
    can_delete = True
    verbose_name = verbose_name_plural = _("budget")


admin.site.unregister((User, Group))


@admin.register(User)
class PeopleAdmin(UsedToday, UserAdmin):
    """Django's own page, with budgets."""

    list_display = ("username", "email", "first_name", "last_name", "is_staff", "used_today")
    fieldsets = (*UserAdmin.fieldsets, (_("Use"), {"fields": ("used_today",)}))  # type: ignore[misc]
    readonly_fields = ("used_today",)
    inlines = (UserBudgetInline,)
    used_by = {"user": OuterRef("pk")}

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj is not None else ()  # the form for a new user asks for a name and a password only


@admin.register(Group)
class TeamAdmin(UsedToday, GroupAdmin):
    """Django's own page, with budgets."""

    list_display = ("name", "used_today")
    readonly_fields = ("used_today",)
    inlines = (GroupBudgetInline,)
    used_by = {"user__groups": OuterRef("pk")}


@admin.register(UserBudget)
class UserBudgetAdmin(UsedToday):
    """For staff who may change budgets but not users."""

    list_display = ("user", "tokens_per_day", "used_today", "max_runs", "messages_per_minute")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    autocomplete_fields = ("user",)
    used_by = {"user": OuterRef("user")}


@admin.register(GroupBudget)
class GroupBudgetAdmin(UsedToday):
    """For staff who may change budgets but not groups."""

    list_display = (
        "group",
        "tokens_per_day",
        "used_today",
        "member_tokens_per_day",
        "member_max_runs",
        "member_messages_per_minute",
    )
    list_select_related = ("group",)
    search_fields = ("group__name",)
    autocomplete_fields = ("group",)
    used_by = {"user__groups": OuterRef("group")}


@admin.register(Usage)
class UsageAdmin(ReadOnlyAdmin):
    """What was used, day by day; only the journal writes it. Deleting a row resets that day's use of its user."""

    list_display = ("day", "who", "agent", "tokens", "input_tokens", "output_tokens", "llm_calls")
    list_select_related = ("user",)
    list_filter = ("agent",)
    search_fields = ("user__username", "agent")
    date_hierarchy = "day"
    readonly_fields = ("day", "user", "agent", "input_tokens", "output_tokens", "llm_calls")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(tokens=F("input_tokens") + F("output_tokens"))
        return rows

    @admin.display(description=_("user"), ordering="user")
    def who(self, row: Usage) -> Any:
        return row.user or _("anonymous")

    @admin.display(description=_("tokens"), ordering="tokens")
    def tokens(self, row: Any) -> str:
        return f"{row.tokens:,}"
