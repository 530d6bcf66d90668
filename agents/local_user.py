"""The user `local`: whoever sits at the machine that the server runs on."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.utils import timezone

from agents.conf import get_config
from agents.models import AccessToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LOCAL_USERNAME = "local"
BANNER_TOKEN_NAME = "banner"
BANNER_TOKEN_LIFE = timedelta(days=7)


def ensure_local_user() -> tuple[User, str | None]:
    """The user `local`; with the password, to be shown once, when this call created it.

    On the embedded database it is a superuser. A shared database is a team's: there it is a user like any other, and
    cannot log in.
    """
    embedded = get_config().embedded_database
    password = secrets.token_urlsafe(12) if embedded else None
    users = get_user_model().objects
    user, created = users.get_or_create(
        username=LOCAL_USERNAME, defaults={"is_staff": embedded, "is_superuser": embedded, "password": "!"}
    )
    if not created:
        return user, None
    user.set_password(password)
    user.save(update_fields=["password"])
    return user, password


def issue_banner_token(user: User) -> str:
    """A token for the URL in the banner of this start.

    Those of earlier starts stay good until they expire: a page that was opened with one must come back after a restart,
    and another server may share the database.
    """
    now = timezone.now()
    AccessToken.objects.filter(user=user, name=BANNER_TOKEN_NAME, expires_at__lte=now).delete()
    _, plaintext = AccessToken.objects.issue(user, BANNER_TOKEN_NAME, expires_at=now + BANNER_TOKEN_LIFE)
    return plaintext
