"""Tokens of a single sign-on that exists already: JSON Web Tokens that its key signed.

Which algorithm counts is said by the configuration, never by a token. All of it blocks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
from django.contrib.auth import get_user_model

from agents.access.local_user import LOCAL_USERNAME
from agents.access.system_user import SYSTEM_USERNAME
from agents.conf import Config

if TYPE_CHECKING:
    from django.contrib.auth.models import User

RESERVED = frozenset({LOCAL_USERNAME, SYSTEM_USERNAME})
"""Users of this server that are not people of the organisation."""


class JWTRefused(Exception):
    """The token is refused; the text says why, for the log."""


def user_of_jwt(text: str, config: Config) -> tuple[User, datetime]:
    """Whose token this is, and until when it is good. Raises `JWTRefused`."""
    claims = _claims(text, config)
    username, until = _username(claims[config.jwt_username_claim]), _end(claims["exp"], config)
    users = get_user_model()._default_manager
    if config.jwt_create_users:
        user, _created = users.get_or_create(username=username, defaults={"password": "!"})
    elif (found := users.filter(username=username).first()) is not None:
        user = found
    else:
        raise JWTRefused(f"there is no user {username!r}. Create one, or set JWT_CREATE_USERS")
    if not user.is_active:
        raise JWTRefused(f"the user {username!r} is not active")
    return user, until


def _claims(text: str, config: Config) -> dict[str, Any]:
    for key in config.jwt_keys:
        try:
            return jwt.decode(
                text,
                key,
                algorithms=[config.jwt_algorithm],
                issuer=config.jwt_issuer,
                audience=config.jwt_audience,
                leeway=config.jwt_leeway_seconds,
                options={"require": ["exp", config.jwt_username_claim]},
            )
        except jwt.InvalidSignatureError:
            continue  # signed by another of the keys
        except jwt.PyJWTError as error:
            raise JWTRefused(f"it is not valid ({error})") from error
    raise JWTRefused("none of JWT_KEYS has signed it")


def _username(claim: object) -> str:
    """A name of a user that can be only this one's. Raises `JWTRefused`."""
    kind = get_user_model()
    longest: int = kind._meta.get_field(kind.USERNAME_FIELD).max_length or 0  # type: ignore[union-attr]
    if not isinstance(claim, str) or not 0 < len(claim) <= longest or not claim.isprintable():
        raise JWTRefused(f"its claim for the name of the user is not a text of 1 to {longest} visible characters")
    # Two that look the same are two names for a single sign-on and one for Django.
    if claim != kind.normalize_username(claim) or claim != claim.strip():
        raise JWTRefused(f"the name {claim!r} is not in its normal form")
    if claim in RESERVED:
        raise JWTRefused(f"the name {claim!r} is this server's own")
    return claim


def _end(exp: float, config: Config) -> datetime:
    try:
        return datetime.fromtimestamp(int(exp), UTC) + timedelta(seconds=config.jwt_leeway_seconds)
    except (OverflowError, ValueError, OSError) as error:
        raise JWTRefused("its expiry is later than a date can be") from error
