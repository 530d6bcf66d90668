"""The table of access tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TOKEN_PREFIX = "mya_"
SHOWN_CHARACTERS = 10
LAST_USED_PRECISION = timedelta(minutes=1)


def hash_token(plaintext: str) -> str:
    """What is stored of a token. A plain hash is enough: 256 random bits cannot be guessed."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    def issue(
        self, user: User, name: str, *, agents: Iterable[str] = (), expires_at: datetime | None = None
    ) -> tuple[AccessToken, str]:
        """Make a token for `user` and return its row and its text, which is stored nowhere."""
        token = AccessToken(user=user, name=name, agents=list(agents), expires_at=expires_at)
        plaintext = token.draw()
        token.save(using=self.db)
        return token, plaintext

    def usable(self, now: datetime) -> AccessTokenQuerySet:
        """Tokens that are accepted at `now`: not revoked, not expired, of an active user."""
        return self.filter(usable_at(now), user__is_active=True)

    def with_plaintext(self, plaintext: str) -> AccessTokenQuerySet:
        """The token with this text, if there is one."""
        return self.filter(token_hash=hash_token(plaintext))


def usable_at(now: datetime, *, prefix: str = "") -> Q:
    """Neither revoked nor expired at `now`; `prefix` is the path to the token in a join, such as `access_tokens__`."""
    unlimited = Q(**{f"{prefix}expires_at": None}) | Q(**{f"{prefix}expires_at__gt": now})
    return Q(**{f"{prefix}revoked_at": None}) & unlimited


class AccessToken(models.Model):
    """A bearer token of a user. Only its hash is stored."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_tokens", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=200, help_text=_("What it is for."))
    token_hash = models.CharField(_("SHA-256 of the token"), max_length=64, unique=True, editable=False)
    prefix = models.CharField(_("begins with"), max_length=SHOWN_CHARACTERS, editable=False)
    agents = models.JSONField(
        _("agents"), default=list, blank=True, help_text=_("Names of the agents it is good for; none means all.")
    )
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(pgettext_lazy("moment", "revoked"), null=True, blank=True, editable=False)
    stops_runs = models.BooleanField(default=False, db_default=False, editable=False)
    """Whether, when it was revoked, what it had begun was to be cancelled, too."""
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = AccessTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def draw(self) -> str:
        """Make this the row of a new token and return its text, which is stored nowhere. Does not save the row."""
        plaintext = TOKEN_PREFIX + secrets.token_urlsafe(32)
        self.token_hash, self.prefix = hash_token(plaintext), plaintext[:SHOWN_CHARACTERS]
        return plaintext

    def revoke(self, now: datetime, *, stops_runs: bool = True) -> None:
        """Refuse it from now on; within `grants_seconds` open connections are closed and, with `stops_runs`, what was
        begun with it and is not finished is cancelled.
        """
        if self.revoked_at is None:
            self.revoked_at, self.stops_runs = now, stops_runs
            self.save(update_fields=["revoked_at", "stops_runs"])

    def note_use(self, now: datetime) -> None:
        """Store when it was used, to the minute, so that many connections do not mean many writes."""
        if self.last_used_at is None or now - self.last_used_at >= LAST_USED_PRECISION:
            self.last_used_at = now
            self.save(update_fields=["last_used_at"])

    def state(self, now: datetime) -> Any:
        """Usable, expired or revoked, in the reader's language."""
        if self.revoked_at is not None:
            return _("revoked")
        if self.expires_at is not None and self.expires_at <= now:
            return _("expired")
        return _("usable")
