"""Users and groups in the admin, with their budgets and what they have used today."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agents.access.delegation import groups_to_manage, may_name_leads, users_to_manage
from agents.access.local_user import LOCAL_USERNAME
from agents.admin.delegated import Delegated
from agents.admin.use import UsedToday
from agents.budgets.shares import Share, Sharer, Shares
from agents.conf import get_config
from agents.models import GroupBudget, GroupLead, Invitation, UserBudget


def with_held(users: QuerySet[Any]) -> QuerySet[Any]:
    """`users` annotated with what their sessions take in the database, as `held_bytes`, and their number, as
    `held_sessions`.
    """
    # Of the other app, which stands on this one.
    sessions: Any = User._meta.get_field("agent_sessions").related_model
    own = sessions._default_manager.filter(user=OuterRef("pk")).order_by().values("user")
    annotated: QuerySet[Any] = users.annotate(
        held_bytes=Coalesce(Subquery(own.annotate(sum=Sum("stored_bytes")).values("sum")), 0),
        held_sessions=Coalesce(Subquery(own.annotate(count=Count("pk")).values("count")), 0),
    )
    return annotated


class UserBudgetInline(admin.StackedInline):
    model = UserBudget
    can_delete = True
    verbose_name = verbose_name_plural = _("budget")


class GroupBudgetInline(admin.StackedInline):
    model = GroupBudget
    can_delete = True
    verbose_name = verbose_name_plural = _("budget")


class GroupLeadInline(admin.StackedInline):
    """Who may see the members' conversations, named by those who see them themselves."""

    model = GroupLead
    extra = 0
    autocomplete_fields = ("user",)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_name_leads(request.user, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_name_leads(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_name_leads(request.user, obj)


admin.site.unregister((User, Group))

MOST_LINKS = 50
"""For how many users one page shows links."""


@admin.register(User)
class PeopleAdmin(UsedToday, Delegated, UserAdmin):
    """Django's own page, with budgets."""

    list_display = ("username", "email", "first_name", "last_name", "is_staff", "stored", "sessions", "used_today")
    fieldsets = (*UserAdmin.fieldsets, (_("Use"), {"fields": ("used_today", "stored", "sessions")}))  # type: ignore[misc]
    readonly_fields = ("used_today", "stored", "sessions", "last_login", "date_joined")
    inlines = (UserBudgetInline,)
    used_by = {"user": OuterRef("pk")}
    actions = ("invite",)

    @admin.action(description=_("Make links to log in for the selected users"), permissions=["change"])
    def invite(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        """The only page that shows the links. No redirect, because they are stored nowhere."""
        users = list(queryset.filter(is_active=True)[:MOST_LINKS])
        may = set(self.manageable(request).filter(pk__in=[user.pk for user in users]).values_list("pk", flat=True))
        refused = [user.get_username() for user in users if user.pk not in may]
        if refused or not users:
            words = (
                _("No link was made: these users may do more than you: %(names)s")
                if refused
                else _("No active user is selected.")
            )
            self.message_user(request, words % {"names": ", ".join(refused)} if refused else words, messages.ERROR)
            return None
        root = request.build_absolute_uri(reverse("invitation"))
        links = []
        for user in users:
            _invitation, secret = Invitation.objects.issue(user)
            self.log_change(request, user, gettext("Made a link to log in."))
            links.append((user, f"{root}?token={secret}"))
        title = _("Links to log in")
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "links": links}
        response = TemplateResponse(request, "admin/agents/invitations.html", context)
        add_never_cache_headers(response)
        return response

    def manageable(self, request: HttpRequest) -> QuerySet[Any]:
        return users_to_manage(request.user)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_held(super().get_queryset(request))

    @admin.display(description=_("stored"), ordering="held_bytes")
    def stored(self, user: Any) -> str:
        share = _share_of(user)
        return _of_limit(filesizeformat(getattr(user, "held_bytes", 0)), share.stored_bytes, filesizeformat)

    @admin.display(description=_("sessions"), ordering="held_sessions")
    def sessions(self, user: Any) -> str:
        return _of_limit(f"{getattr(user, 'held_sessions', 0):,}", _share_of(user).sessions, "{:,}".format)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj is not None else ()  # the form for a new user asks for a name and a password only

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if request.user.is_superuser else (*self.readonly_fields, "is_superuser")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Groups that the visitor was not offered stay as they were."""
        user: Any = form.instance
        kept = list(user.groups.exclude(pk__in=groups_to_manage(request.user).values("pk")))
        super().save_related(request, form, formsets, change)
        user.groups.add(*kept)


@admin.register(Group)
class TeamAdmin(UsedToday, Delegated, GroupAdmin):  # type: ignore[misc]  # the stubs name what Django passes on
    """Django's own page, with budgets and leads."""

    list_display = ("name", "used_today")
    readonly_fields = ("used_today",)
    inlines = (GroupLeadInline, GroupBudgetInline)
    used_by = {"user__groups": OuterRef("pk")}

    def manageable(self, request: HttpRequest) -> QuerySet[Any]:
        return groups_to_manage(request.user)


@admin.register(UserBudget)
class UserBudgetAdmin(UsedToday):
    """For staff who may change budgets but not users."""

    list_display = ("user", "tokens_per_day", "used_today", "max_runs", "messages_per_minute")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    autocomplete_fields = ("user",)
    used_by = {"user": OuterRef("user")}
    of_cost = ("cost_per_day", "spent_today")


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
    of_cost = ("cost_per_day", "spent_today", "member_cost_per_day")


def _share_of(user: User) -> Share:
    config = get_config()
    exempt = user.get_username() == LOCAL_USERNAME and not config.limit_local
    return Shares(config, exempt={user.pk} if exempt else ()).of(Sharer(user.pk))


def _of_limit(used: str, limit: int | None, shown: Callable[[int], str]) -> str:
    return used if limit is None else _("%(used)s of %(limit)s") % {"used": used, "limit": shown(limit)}
