"""Tokens, browser sessions and the user `local`, looked up in the database. All of it blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.http import HttpRequest
from django.utils import timezone

from agents.access.agent_permissions import denied_to
from agents.access.local_user import LOCAL_USERNAME
from agents.access.sso import signed_on
from agents.conf import Config
from agents.models import AccessToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A user who was recognised; `agents` is what the token is limited to (None: no limit), `denied` what groups deny.

    `sso_identity_id` is who the single sign-on says it is, `expires_at` when its token ends, and
    `login` what the browser session is known by.
    """

    user_id: int
    username: str
    denied: frozenset[str]
    is_staff: bool = False
    token_id: int | None = None
    agents: frozenset[str] | None = None
    sso_identity_id: int | None = None
    expires_at: datetime | None = None
    login: Login | None = None


@dataclass(frozen=True, kw_only=True)
class Login:
    """A browser session: the key of its row, and the mark of the password with which its user logged in."""

    session_key: str = field(repr=False)
    password_mark: str = field(repr=False)


def user_of_token(plaintext: str) -> Identity | None:
    """The token's row, or None when it is not valid. Notes that it was used."""
    now = timezone.now()
    token = AccessToken.objects.with_plaintext(plaintext).usable(now).select_related("user").first()
    if token is None:
        return None
    token.note_use(now)
    return _identity(token.user, token_id=token.pk, agents=limited_to(token.agents))


def user_of_sso_token(text: str, config: Config, keys: Sequence[Any]) -> Identity:
    """Whose token of the single sign-on this is; one of `keys` has signed it. Raises `JWTRefused`."""
    found = signed_on(text, config, keys)
    return _identity(found.user, sso_identity_id=found.identity_id, expires_at=found.until)


def user_of_session(session_key: str) -> Identity | None:
    """Who is logged in with this browser session; it is checked as Django's own pages check it."""
    request = HttpRequest()
    request.session = session_store()(session_key)
    user = get_user(request)
    if not user.is_authenticated or not user.is_active:
        return None
    return _identity(user, login=Login(session_key=session_key, password_mark=password_mark(user.password)))


def local_user() -> Identity | None:
    """The user `local`, or None when there is none or it was deactivated."""
    users = get_user_model()._default_manager.filter(
        **{get_user_model().USERNAME_FIELD: LOCAL_USERNAME}, is_active=True
    )
    user = users.first()
    return _identity(user) if user is not None else None


def password_mark(stored: str) -> str:
    """What changes with a stored password and does not tell it. Django's own takes ten times as long."""
    return hashlib.blake2b(stored.encode(), digest_size=16).hexdigest()


def session_store() -> Any:
    """The class of the browser sessions."""
    return import_module(settings.SESSION_ENGINE).SessionStore


def limited_to(agents: list[str]) -> frozenset[str] | None:
    """A token's list of agents as a grant has it."""
    return frozenset(agents) if agents else None


def _identity(user: User, **facts: Any) -> Identity:
    name, denied = user.get_username(), denied_to(user.pk)
    return Identity(user_id=user.pk, username=name, is_staff=user.is_staff, denied=denied, **facts)
