"""Which agents a user may not use: those that are limited to groups that the user is not in.

Whoever has the permission `agents.use_agent`, in person or through a group, and every superuser, may use them all. An
agent whose groups were deleted stays limited, and no user may use it. All of it blocks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from agents.models import HostedAgent

NOTHING: frozenset[str] = frozenset()

Limited = Mapping[str, frozenset[int]]
"""The agents that are limited to groups, by name, with the ids of these groups: none, where they were deleted."""


def limited_agents() -> Limited:
    """The agents that are not for everybody. One query."""
    groups: dict[str, set[int]] = defaultdict(set)
    # What has groups is limited, whatever wrote them; what has none left is where `limited` says so.
    limited = HostedAgent.objects.filter(Q(limited=True) | Q(groups__isnull=False)).order_by()
    for name, group_id in limited.values_list("name", "groups"):
        groups[name].update(() if group_id is None else (group_id,))
    return {name: frozenset(ids) for name, ids in groups.items()}


def keep_limited(
    instance: Model, action: str, reverse: bool, pk_set: Collection[int] | None, using: str, **facts: Any
) -> None:
    """Receives `m2m_changed`: an agent is limited if somebody gave it groups, and no more if somebody took them away.

    Django sends nothing for a group that is deleted, so that its agents do not become everybody's by that.
    """
    if action not in ("post_add", "post_remove", "post_clear"):
        return
    # Django does not say which agents had a group that was cleared from its side: they stay limited.
    changed = HostedAgent.objects.using(using).filter(pk__in=(pk_set or ()) if reverse else (instance.pk,))
    changed.update(limited=Exists(HostedAgent.groups.through._default_manager.filter(hostedagent=OuterRef("pk"))))
    if not reverse:
        instance.refresh_from_db(using=using, fields=["limited"])  # or a later save() would undo it


def denied_to(user_id: int | None) -> frozenset[str]:
    """The agents that this user may not use; None is an anonymous one. One query, two if any is limited."""
    limited = limited_agents()
    if not limited:
        return NOTHING
    if user_id is None:
        return frozenset(limited)
    rows = list(with_rights(get_user_model()._default_manager.filter(pk=user_id)).values_list(*RIGHTS))
    return denied(limited, [group for group, _ in rows], may_use_any=any(may for _, may in rows))


RIGHTS = ("groups", "may_use_any")
"""What `with_rights` adds: a user has one row for each group."""


def with_rights(users: QuerySet) -> QuerySet:
    """`users` with what `denied` wants to know of them."""
    permission = Permission.objects.filter(codename="use_agent", content_type__app_label="agents")
    in_person = Exists(permission.filter(user=OuterRef("pk")))
    through_group = Exists(permission.filter(group__user=OuterRef("pk")))
    annotated: QuerySet = users.annotate(may_use_any=Q(is_superuser=True) | in_person | through_group)
    return annotated


def denied(limited: Limited, groups: Iterable[int | None], *, may_use_any: bool) -> frozenset[str]:
    """The agents that somebody in these groups may not use."""
    if may_use_any:
        return NOTHING
    mine: Collection[int | None] = set(groups)
    return frozenset(name for name, allowed in limited.items() if allowed.isdisjoint(mine))
