"""Tokens, browser sessions and the user `local`, looked up in the database. All of it blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.db.models import FilteredRelation, Q
from django.http import HttpRequest
from django.utils import timezone

from agents.local_user import LOCAL_USERNAME
from agents.models import AccessToken, usable_at

if TYPE_CHECKING:
    from agents.access import Grant


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A user who was recognised; `agents` is what the token is limited to, None for no limit."""

    user_id: int
    username: str
    token_id: int | None = None
    agents: frozenset[str] | None = None


def user_of_token(plaintext: str) -> Identity | None:
    """Whose token this is, or None when it lets nobody in. Notes that it was used."""
    now = timezone.now()
    token = AccessToken.objects.with_plaintext(plaintext).usable(now).select_related("user").first()
    if token is None:
        return None
    token.note_use(now)
    return Identity(
        user_id=token.user_id,
        username=token.user.get_username(),
        token_id=token.pk,
        agents=limited_to(token.agents),
    )


def user_of_session(session_key: str) -> Identity | None:
    """Who is logged in with this browser session; it is checked as Django's own pages check it."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    if not user.is_authenticated or not user.is_active:
        return None
    return Identity(user_id=user.pk, username=user.get_username())


def local_user() -> Identity | None:
    """The user `local`, or None when there is none or it was deactivated."""
    users = get_user_model().objects.filter(**{get_user_model().USERNAME_FIELD: LOCAL_USERNAME}, is_active=True)
    user = users.first()
    return Identity(user_id=user.pk, username=user.get_username()) if user is not None else None


def limited_to(agents: list[str]) -> frozenset[str] | None:
    """A token's list of agents as a grant has it."""
    return frozenset(agents) if agents else None


def revoked_among(grants: Iterable[Grant]) -> set[Grant]:
    """The grants whose token or user is good no longer."""
    known = {grant for grant in grants if grant.user_id is not None}
    if not known:
        return set()
    good = _good_ids({grant.user_id for grant in known}, {grant.token_id for grant in known} - {None})
    return {grant for grant in known if good.get((grant.user_id, grant.token_id), False) != grant.agents}


def _good_ids(user_ids: set[Any], token_ids: set[Any]) -> dict[tuple[Any, Any], Any]:
    """Active users, as (user, None), and usable tokens, as (user, token), with the agents they are limited to."""
    # An empty list would empty the whole result, and no token has the number 0.
    usable = Q(access_tokens__in=token_ids or {0}) & usable_at(timezone.now(), prefix="access_tokens__")
    rows = (
        get_user_model()
        .objects.filter(pk__in=user_ids, is_active=True)
        .annotate(token=FilteredRelation("access_tokens", condition=usable))
        .values_list("pk", "token__pk", "token__agents")
    )
    good: dict[tuple[Any, Any], Any] = {}
    for user_id, token_id, agents in rows:
        good[user_id, None] = None
        if token_id is not None:
            good[user_id, token_id] = limited_to(agents)
    return good
