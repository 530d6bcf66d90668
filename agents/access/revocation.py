"""Whether the credentials of open connections are still valid. All of it blocks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.signed_cookies import SessionStore as CookieStore
from django.db.models import FilteredRelation, Q
from django.utils import timezone

from agents.access.agent_permissions import RIGHTS, denied, limited_agents, with_rights
from agents.access.credentials import limited_to, password_mark, session_store
from agents.access.decision import Grant
from agents.models import SsoIdentity
from agents.models.access_token import usable_at


@dataclass(slots=True)
class Standing:
    """An active user as the database has it now. `tokens` are those that are usable, with their agents."""

    password: str
    may_use_any: bool
    groups: set[int | None] = field(default_factory=set)
    tokens: dict[int, frozenset[str] | None] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()


class Rechecked:
    """The standing of all users concerned. A grant that becomes `None` here is no longer valid."""

    def __init__(
        self,
        standings: dict[int, Standing],
        denied_to_anonymous: frozenset[str],
        logins: set[str],
        linked: Mapping[int, int | None],
    ) -> None:
        self._standings = standings
        self._denied_to_anonymous = denied_to_anonymous
        self._logins = logins
        self._linked = linked
        self._now = timezone.now()

    def of(self, grant: Grant) -> Grant | None:
        """The grant as it is now: with the agents that are denied now, or None when nothing is left of it."""
        if grant.user_id is None:
            return replace(grant, denied=self._denied_to_anonymous)
        standing = self._standings.get(grant.user_id)
        if standing is None or (grant.expires_at is not None and grant.expires_at <= self._now):
            return None
        if grant.token_id is not None and standing.tokens.get(grant.token_id, frozenset()) != grant.agents:
            return None
        if grant.sso_identity_id is not None and self._linked.get(grant.sso_identity_id) != grant.user_id:
            return None
        if grant.login is not None and (
            grant.login.session_key not in self._logins or grant.login.password_mark != password_mark(standing.password)
        ):
            return None
        return grant if grant.denied == standing.denied else replace(grant, denied=standing.denied)

    def may_use(self, user_id: int | None, agent: str) -> bool:
        """Whether this user may still use this agent; None is anonymous."""
        if user_id is None:
            return agent not in self._denied_to_anonymous
        standing = self._standings.get(user_id)
        return standing is not None and agent not in standing.denied


def recheck(grants: Collection[Grant], user_ids: Iterable[int | None] = ()) -> Rechecked:
    """Look at these grants and users: one query for all of them, and one for the groups of agents.

    Identities of the single sign-on take one more, and so do logins where browser sessions are rows; elsewhere each is
    looked for in its store.
    """
    limited = limited_agents()
    users = {grant.user_id for grant in grants} | set(user_ids)
    tokens = {grant.token_id for grant in grants}
    standings = _standings(users - {None}, tokens - {None}, with_groups=bool(limited))
    for standing in standings.values():
        standing.denied = denied(limited, standing.groups, may_use_any=standing.may_use_any)
    logins = {grant.login.session_key for grant in grants if grant.login is not None}
    identities = {grant.sso_identity_id for grant in grants} - {None}
    return Rechecked(standings, frozenset(limited), _still_there(logins), _linked(identities))


def _linked(identities: Collection[Any]) -> dict[int, int | None]:
    """The user to which each of these identities is linked now."""
    return dict(SsoIdentity.objects.filter(pk__in=identities).values_list("pk", "user")) if identities else {}


def _standings(user_ids: Collection[Any], token_ids: Collection[Any], *, with_groups: bool) -> dict[int, Standing]:
    if not user_ids:
        return {}
    # An empty list would empty the whole result, and no token has the number 0.
    usable = Q(access_tokens__in=token_ids or {0}) & usable_at(timezone.now(), prefix="access_tokens__")
    users = get_user_model()._default_manager.filter(pk__in=user_ids, is_active=True)
    users = users.annotate(token=FilteredRelation("access_tokens", condition=usable))
    columns = ("pk", "password", "token__pk", "token__agents")
    rows = with_rights(users).values_list(*columns, *RIGHTS) if with_groups else users.values_list(*columns)
    standings: dict[int, Standing] = {}
    for user_id, password, token_id, agents, *rights in rows:
        standing = standings.setdefault(user_id, Standing(password, may_use_any=bool(rights and rights[1])))
        standing.groups.update(rights[:1])
        if token_id is not None:
            standing.tokens[token_id] = limited_to(agents)
    return standings


def _still_there(session_keys: Collection[str]) -> set[str]:
    """The browser sessions among these that have not ended."""
    store = session_store()
    if not session_keys:
        return set()
    if hasattr(store, "get_model_class"):
        rows = store.get_model_class()._default_manager.filter(pk__in=session_keys, expire_date__gt=timezone.now())
        return set(rows.values_list("pk", flat=True))
    if issubclass(store, CookieStore):
        return set(session_keys)  # the browser has all of it, so nothing here could be gone
    return {key for key in session_keys if _is_live(store(key), key)}


def _is_live(session: SessionBase, key: str) -> bool:
    # `exists` fails when a cache is away, where `load` finds nothing and everybody would be closed for good; whether
    # the time of a file has run out is seen by `load` alone. What a login holds is never empty.
    return session.exists(key) and bool(session.load())
