"""What staff who may change users and groups may hand on: nothing that they do not have. All of it blocks.

Whoever sets a password or a membership of somebody can act as that person afterwards, so accounts with rights beyond
those of the visitor are not theirs to change at all. Superusers may do everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat

from agents.access.agent_permissions import denied_to
from agents.models import HostedAgent

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


def permissions_of(staff: User | AnonymousUser) -> QuerySet[Permission]:
    """The permissions that `staff` may hand on: their own."""
    if staff.is_superuser:
        return Permission.objects.all()
    return _named().filter(full_name__in=staff.get_all_permissions())


def permissions_beyond(staff: User | AnonymousUser) -> QuerySet[Permission]:
    """The permissions that `staff` do not have."""
    if staff.is_superuser:
        return Permission.objects.none()
    return _named().exclude(full_name__in=staff.get_all_permissions())


def users_to_manage(staff: User | AnonymousUser) -> QuerySet[Any]:
    """The users whose accounts `staff` may change: no superuser, and nobody with a permission beyond their own.

    What a deactivated user had counts, since it comes back with the account.
    """
    users: QuerySet[Any] = get_user_model()._default_manager.all()
    if staff.is_superuser:
        return users
    beyond = permissions_beyond(staff)
    in_person = Exists(beyond.filter(user=OuterRef("pk")))
    through_group = Exists(beyond.filter(group__user=OuterRef("pk")))
    return users.filter(~in_person, ~through_group, is_superuser=False)


def groups_to_manage(staff: User | AnonymousUser) -> QuerySet[Group]:
    """The groups that `staff` may change, and put people in: none that gives a permission or an agent they lack."""
    if staff.is_superuser:
        return Group.objects.all()
    denied = HostedAgent.groups.through._default_manager.filter(
        group=OuterRef("pk"), hostedagent__name__in=denied_to(staff.pk)
    )
    return Group.objects.filter(~Exists(permissions_beyond(staff).filter(group=OuterRef("pk"))), ~Exists(denied))


def may_name_leads(staff: User | AnonymousUser, group: Group | None) -> bool:
    """Whether `staff` may say who sees the conversations of this group's members: those who see them themselves."""
    if staff.has_perm("sessions_app.view_any_session"):
        return True
    led = Q(pk=group.pk if group is not None else None, leads__user=staff.pk)
    return staff.has_perm("sessions_app.view_led_session") and Group.objects.filter(led).exists()


def _named() -> QuerySet[Any]:
    """Permissions with the names that Django checks, such as `auth.change_user`."""
    name = Concat(F("content_type__app_label"), Value("."), F("codename"))
    return Permission.objects.annotate(full_name=name)
