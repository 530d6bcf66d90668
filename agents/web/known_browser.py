"""A cookie by which a browser is known again in which somebody has logged in, also at another address.

It lets nobody in. It says that whoever types this name here is probably its owner, whatever others do meanwhile.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from agents.models.login_traces import REMEMBERED

if TYPE_CHECKING:
    from django.contrib.auth.models import User

COOKIE = "myagent_browser"
_AGE = int(REMEMBERED.total_seconds())


def remember_browser(response: HttpResponse, user: User) -> None:
    """Let the browser that gets this response be known as one of `user`."""
    response.set_signed_cookie(
        COOKIE,
        f"{secrets.token_urlsafe(12)}.{_owner(user.get_username())}",
        salt=COOKIE,
        max_age=_AGE,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def known_browser(request: HttpRequest, name: str) -> str | None:
    """What this browser is known by, if the user of that name has logged in with it."""
    try:
        told = request.get_signed_cookie(COOKIE, default="", salt=COOKIE, max_age=_AGE)
    except BadSignature:
        return None
    mark, _, owner = (told or "").partition(".")
    return mark if mark and owner == _owner(name) else None


def _owner(name: str) -> str:
    """A name as a cookie can hold it, and without saying it."""
    return salted_hmac(COOKIE, name, algorithm="sha256").hexdigest()[:32]
