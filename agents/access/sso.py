"""Tokens of a single sign-on that exists already: JSON Web Tokens that one of its keys signed.

Which algorithm counts is said by the configuration, never by a token. All of it blocks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from agents.access.local_user import LOCAL_USERNAME
from agents.access.look_alikes import skeleton
from agents.access.system_user import DELETED_USERNAME, SYSTEM_USERNAME
from agents.conf import Config
from agents.models import SsoIdentity
from agents.models.sso_identity import LONGEST_CLAIM

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("myagent.access")

RESERVED = frozenset({LOCAL_USERNAME, SYSTEM_USERNAME, DELETED_USERNAME})
"""Users of this server that are not people of the organisation."""


class JWTRefused(Exception):
    """The token is refused; the text says why, for the log."""


class SignedOn(NamedTuple):
    """An active user whom a token of the single sign-on names, by which identity, and until when it is good."""

    user: User
    identity_id: int
    until: datetime


def signed_on(text: str, config: Config, keys: Sequence[Any] | None = None) -> SignedOn:
    """Whose token this is; `keys` may have signed it. Raises `JWTRefused`.

    A person is who the issuer says by `iss` and `sub`; an administrator says which user that is, unless the setting
    lets users be made.
    """
    claims = _claims(text, config, config.jwt_keys if keys is None else keys)
    until = _end(claims, config)
    user, identity = _linked(claims, config)
    if not user.is_active:
        raise JWTRefused(f"the user {user.get_username()!r} is not active")
    if config.jwt_groups:
        _join_groups(user, claims, config.jwt_groups, config.jwt_groups_claim)
    return SignedOn(user, identity.pk, until)


def _claims(text: str, config: Config, keys: Sequence[Any]) -> dict[str, Any]:
    for key in keys:
        try:
            return jwt.decode(
                text,
                key,
                algorithms=[config.jwt_algorithm],
                issuer=config.jwt_issuer,
                audience=config.jwt_audience,
                leeway=config.jwt_leeway_seconds,
                options={"require": ["exp", "sub", config.jwt_username_claim]},
            )
        except jwt.InvalidSignatureError:
            continue  # signed by another of the keys
        except (jwt.PyJWTError, TypeError) as error:  # TypeError: a fetched key is of another kind than the algorithm's
            raise JWTRefused(f"it is not valid ({error})") from error
    raise JWTRefused("none of the keys (JWT_KEYS, JWT_JWKS_URL) has signed it")


def _end(claims: dict[str, Any], config: Config) -> datetime:
    """Until when the token counts: its own end, and no later than its longest age allows."""
    leeway, longest = timedelta(seconds=config.jwt_leeway_seconds), timedelta(seconds=config.jwt_max_age_seconds)
    now = datetime.now(UTC)
    end = _moment(claims["exp"]) + leeway
    if "iat" not in claims:
        if end > now + longest + leeway:
            raise JWTRefused("it does not say when it was issued (iat) and lasts longer than JWT_MAX_AGE_SECONDS")
        return end
    oldest = _moment(claims["iat"]) + longest + leeway
    if oldest <= now:
        raise JWTRefused("it was issued longer ago than JWT_MAX_AGE_SECONDS")
    return min(end, oldest)


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise JWTRefused("one of its times is later or earlier than a date can be") from error


# --- whose it is


def _linked(claims: dict[str, Any], config: Config) -> tuple[User, SsoIdentity]:
    """The user to whom the token's identity is linked; one that is new is noted, for an administrator to link."""
    issuer, subject = _identity(claims)
    rows = SsoIdentity.objects.select_related("user")
    found = rows.filter(issuer=issuer, subject=subject).first()
    if found is not None and found.user is not None:
        return found.user, found
    name = _username(claims[config.jwt_username_claim])
    obstacle = _obstacle(name, config)
    if obstacle is None:
        return _make_user(name, issuer, subject)
    SsoIdentity.objects.get_or_create(issuer=issuer, subject=subject, defaults={"claimed_name": name})
    raise JWTRefused(f"{obstacle}. An administrator can link this identity ({subject!r}) to a user in the admin")


def _obstacle(name: str, config: Config) -> str | None:
    """Why no user of this name is made."""
    if not config.jwt_create_users:
        return f"the identity of {name!r} is linked to no user, and JWT_CREATE_USERS is off"
    kind = get_user_model()
    look = skeleton(name)
    for taken in kind._default_manager.values_list(kind.USERNAME_FIELD, flat=True).iterator():
        if skeleton(taken) == look:
            return f"the name {name!r} is or looks like that of the user {taken!r}"
    return None


def _make_user(name: str, issuer: str, subject: str) -> tuple[User, SsoIdentity]:
    users = get_user_model()._default_manager
    try:
        with transaction.atomic():
            user = users.create(username=name, password="!")
            identity, _made = SsoIdentity.objects.update_or_create(
                issuer=issuer, subject=subject, defaults={"user": user, "claimed_name": name}
            )
    except IntegrityError as error:  # another connection of the same person was faster, or somebody took the name
        found = SsoIdentity.objects.select_related("user").filter(issuer=issuer, subject=subject).first()
        if found is None or found.user is None:
            raise JWTRefused(f"the name {name!r} was taken in this moment") from error
        return found.user, found
    return user, identity


def _identity(claims: dict[str, Any]) -> tuple[str, str]:
    """Issuer and subject. Raises `JWTRefused` for what cannot be stored without a change."""
    issuer, subject = claims.get("iss", ""), claims["sub"]
    for claim, value in (("iss", issuer), ("sub", subject)):
        if (
            not isinstance(value, str)
            or len(value) > LONGEST_CLAIM
            or not value.isprintable()
            or not (value or claim == "iss")
        ):
            raise JWTRefused(f"its claim {claim} is not a text of 1 to {LONGEST_CLAIM} visible characters")
    return issuer, subject


def _username(claim: object) -> str:
    """The name of a new user, in its normal form. Raises `JWTRefused` for what is none."""
    kind = get_user_model()
    longest: int = kind._meta.get_field(kind.USERNAME_FIELD).max_length or 0  # type: ignore[union-attr]
    name = kind.normalize_username(claim).strip() if isinstance(claim, str) else ""
    if not 0 < len(name) <= longest or not name.isprintable():
        raise JWTRefused(f"its claim for the name of the user is not a text of 1 to {longest} visible characters")
    if name in RESERVED:
        raise JWTRefused(f"the name {name!r} is this server's own")
    return name


# --- groups


def _join_groups(user: User, claims: dict[str, Any], ours_of: Mapping[str, str], claim: str) -> None:
    """Make the user a member of those groups of `JWT_GROUPS` that the token names, and of no other of them."""
    named = _claimed_groups(claims, claim)
    wanted = {ours for theirs, ours in ours_of.items() if theirs in named}
    managed = set(ours_of.values())
    member_of = set(user.groups.filter(name__in=managed).values_list("name", flat=True))
    if joined := wanted - member_of:
        groups = list(Group.objects.filter(name__in=joined))
        user.groups.add(*groups)
        if lacking := joined - {group.name for group in groups}:
            logger.warning("JWT_GROUPS names groups that do not exist: %s", ", ".join(sorted(lacking)))
    if left := member_of - wanted:
        user.groups.remove(*Group.objects.filter(name__in=left))


def _claimed_groups(claims: dict[str, Any], path: str) -> frozenset[str]:
    """The texts at a claim, which may lie in another one: `realm_access.roles`."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, str):
        return frozenset({found})
    return frozenset(item for item in found if isinstance(item, str)) if isinstance(found, list) else frozenset()
