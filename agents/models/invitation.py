"""The table of invitations."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agents.models.access_token import TOKEN_PREFIX, hash_token

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST_LIFE = timedelta(days=7)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def issue(self, user: User, life: timedelta = LONGEST_LIFE) -> tuple[Invitation, str]:
        """Invite `user`; returns the row and the secret of its link, which is stored nowhere."""
        now = timezone.now()
        self.filter(expires_at__lte=now).delete()
        secret = f"{TOKEN_PREFIX}link_{secrets.token_urlsafe(32)}"
        invitation = self.create(user=user, secret_hash=hash_token(secret), expires_at=now + min(life, LONGEST_LIFE))
        return invitation, secret

    def open(self, secret: str, now: datetime) -> InvitationQuerySet:
        """The invitation with this secret, if it may still be used: once, in time, by an active user."""
        return self.filter(secret_hash=hash_token(secret), used_at=None, expires_at__gt=now, user__is_active=True)

    def use(self, secret: str) -> Invitation | None:
        """Use it up; of several that try at the same moment one gets it."""
        now = timezone.now()
        found = self.open(secret, now).select_related("user").first()
        if found is None or not self.filter(pk=found.pk, used_at=None).update(used_at=now):
            return None
        return found

    def withdraw(self, user: User) -> None:
        """Let no link of this user's log in any more."""
        self.filter(user=user, used_at=None).delete()


class Invitation(models.Model):
    """A link that logs its user in once. Only the hash of its secret is stored."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="invitations", verbose_name=_("user")
    )
    secret_hash = models.CharField(_("SHA-256 of the link's secret"), max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    used_at = models.DateTimeField(_("used"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user} ({self.created_at:%Y-%m-%d})"
