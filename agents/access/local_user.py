"""The user `local`: the person at the machine that the server runs on."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password
from django.db import transaction
from django.utils import timezone

from agents.conf import get_config
from agents.models import AccessToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LOCAL_USERNAME = "local"
BANNER_TOKEN_NAME = "banner"
BANNER_TOKEN_LIFE = timedelta(days=7)

_NO_PASSWORD_YET = UNUSABLE_PASSWORD_PREFIX
"""Instead of a password's hash. An operator who takes the password away leaves more than the prefix (see Django's
`make_password`), and that decision stays."""


def ensure_local_user() -> User:
    """The user `local`, made without a password if need be.

    On the embedded database it is a superuser. A shared database is a team's: there it is a user like any other, and
    cannot log in.
    """
    embedded = get_config().embedded_database
    password = _NO_PASSWORD_YET if embedded else make_password(None)
    defaults = {"is_staff": embedded, "is_superuser": embedded, "password": password}
    return get_user_model().objects.get_or_create(username=LOCAL_USERNAME, defaults=defaults)[0]


@contextmanager
def first_password(user: User) -> Iterator[str | None]:
    """The password to be shown, once, within this context; None when `user` has one, or is to have none.

    It is kept only if nothing goes wrong until the end of the context, so that no user has a password that was never
    shown. Of several servers that start at once, one gets it.
    """
    if user.password != _NO_PASSWORD_YET:
        yield None
        return
    password = secrets.token_urlsafe(12)
    without = get_user_model().objects.filter(pk=user.pk, password=_NO_PASSWORD_YET)
    encoded = make_password(password)  # takes its time, which the lock on the database need not last
    with transaction.atomic():
        yield password if without.update(password=encoded) else None


def issue_banner_token(user: User) -> str:
    """A token for the URL in the banner of this start.

    Those of earlier starts stay good until they expire: a page that was opened with one must come back after a restart,
    and another server may share the database.
    """
    now = timezone.now()
    # What was begun with a token that is gone is cancelled, and an expired one is no reason for that.
    long_ago = now - BANNER_TOKEN_LIFE
    AccessToken.objects.filter(user=user, name=BANNER_TOKEN_NAME, expires_at__lte=long_ago).delete()
    _, plaintext = AccessToken.objects.issue(user, BANNER_TOKEN_NAME, expires_at=now + BANNER_TOKEN_LIFE)
    return plaintext
