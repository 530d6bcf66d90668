"""Which agents are served, and who may connect with a token. What may be spent is in `agents.models.budgets`."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from agents.models.budgets import GroupBudget, Pace, Usage, UserBudget

if TYPE_CHECKING:
    from django.contrib.auth.models import User

__all__ = ["AccessToken", "GroupBudget", "HostedAgent", "Pace", "Usage", "UserBudget", "hash_token", "usable_at"]

TOKEN_PREFIX = "mya_"
SHOWN_CHARACTERS = 10
LAST_USED_PRECISION = timedelta(minutes=1)


class HostedAgentQuerySet(models.QuerySet["HostedAgent"]):
    """Agents by what may be done with them."""

    def disabled(self) -> HostedAgentQuerySet:
        """Agents that an operator switched off."""
        return self.filter(enabled=False)

    def request_reload(self) -> int:
        """Ask all servers to load these agents anew, which they do within `grants_seconds`; returns how many."""
        return self.update(reload_requested_at=timezone.now())


class HostedAgent(models.Model):
    """An agent that a server loaded, and what an operator decided about it."""

    name = models.CharField(_("name"), max_length=64, unique=True)
    description = models.TextField(_("description"), blank=True)
    source = models.CharField(_("source"), max_length=1000, blank=True, help_text=_("File or module it came from."))
    tools = models.JSONField(_("tools"), default=list, blank=True)
    model = models.CharField(_("model"), max_length=200, blank=True)
    enabled = models.BooleanField(_("enabled"), default=True, help_text=_("Off: nobody can use it any more."))
    groups = models.ManyToManyField(
        Group, verbose_name=_("groups"), blank=True, help_text=_("Whose members may use it; none means everybody.")
    )
    # Kept by `rights.keep_limited`: the rows of `groups` go with a group that is deleted, and this stays.
    limited = models.BooleanField(_("limited to groups"), default=False, editable=False)
    max_runs = models.PositiveIntegerField(
        _("runs at once"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("In all servers together; more wait. One that waits for a person takes no place."),
    )
    max_steps = models.PositiveIntegerField(
        _("steps"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("How often a run may use tools, where that is less than its author allows."),
    )
    tokens_per_day = models.PositiveBigIntegerField(_("model tokens per day"), null=True, blank=True)
    loaded_at = models.DateTimeField(_("loaded"), null=True, blank=True)
    failed_at = models.DateTimeField(pgettext_lazy("moment", "failed"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)
    is_default = models.BooleanField(
        _("default"),
        default=False,
        editable=False,
        help_text=_("Whether it was the first one that its server was given."),
    )
    reload_requested_at = models.DateTimeField(
        pgettext_lazy("moment", "reload requested"), null=True, blank=True, editable=False
    )

    objects = HostedAgentQuerySet.as_manager()

    class State(models.TextChoices):
        ON = "on", _("on")
        """It can be used."""
        OFF = "off", _("off")
        """An operator switched it off."""
        FAILED = "failed", _("failed")
        """It could not be loaded when that was last tried."""

    class Meta:
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        ordering = ("name",)
        permissions = [("use_agent", "Can use agents that are limited to groups")]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> State:
        """Whether it can be used, as far as the database knows."""
        if not self.enabled:
            return self.State.OFF
        return self.State.FAILED if self.error else self.State.ON


def hash_token(plaintext: str) -> str:
    """What is stored of a token. A plain hash is enough: a token has 256 random bits, nobody can try them out."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    """Tokens by what they are good for."""

    def issue(
        self, user: User, name: str, *, agents: Iterable[str] = (), expires_at: datetime | None = None
    ) -> tuple[AccessToken, str]:
        """Make a token for `user` and return its row and its text; the text can never be had again."""
        token = AccessToken(user=user, name=name, agents=list(agents), expires_at=expires_at)
        plaintext = token.draw()
        token.save(using=self.db)
        return token, plaintext

    def usable(self, now: datetime) -> AccessTokenQuerySet:
        """Tokens that let somebody in at `now`: not revoked, not expired, of an active user."""
        return self.filter(usable_at(now), user__is_active=True)

    def with_plaintext(self, plaintext: str) -> AccessTokenQuerySet:
        """The token with this text, if there is one."""
        return self.filter(token_hash=hash_token(plaintext))


def usable_at(now: datetime, *, prefix: str = "") -> Q:
    """Neither revoked nor expired at `now`; `prefix` is the path to the token in a join, such as `access_tokens__`."""
    unlimited = Q(**{f"{prefix}expires_at": None}) | Q(**{f"{prefix}expires_at__gt": now})
    return Q(**{f"{prefix}revoked_at": None}) & unlimited


class AccessToken(models.Model):
    """Lets its bearer in as a user. Only the hash is kept."""

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
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = AccessTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def draw(self) -> str:
        """Make this the row of a new token and return its text, which is kept nowhere. The row is not saved yet."""
        plaintext = TOKEN_PREFIX + secrets.token_urlsafe(32)
        self.token_hash, self.prefix = hash_token(plaintext), plaintext[:SHOWN_CHARACTERS]
        return plaintext

    def revoke(self, now: datetime) -> None:
        """Let nobody in with it any more; open connections are closed within `grants_seconds`."""
        if self.revoked_at is None:
            self.revoked_at = now
            self.save(update_fields=["revoked_at"])

    def note_use(self, now: datetime) -> None:
        """Remember that it was used, to the minute, so that many connections do not mean many writes."""
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
