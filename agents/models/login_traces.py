"""What is remembered of logins: where each user has logged in, and what failed lately."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PLACES_OF_A_USER = 20
REMEMBERED = timedelta(days=90)
LONGEST_NETWORK = 50


class KnownPlaceQuerySet(models.QuerySet["KnownPlace"]):
    def note(self, user: User, network: str) -> None:
        """This user has logged in from there."""
        self.update_or_create(user=user, network=network, defaults={"last_at": timezone.now()})
        rest = self.filter(user=user).order_by("-last_at").values_list("pk", flat=True)[PLACES_OF_A_USER:]
        if forgotten := list(rest):
            self.filter(pk__in=forgotten).delete()

    def knows(self, username: str, network: str) -> bool:
        """Whether the active user of that name has logged in from there in the last 90 days."""
        name = f"user__{self._username_field()}"
        since = timezone.now() - REMEMBERED
        return self.filter(**{name: username}, user__is_active=True, network=network, last_at__gt=since).exists()

    def _username_field(self) -> str:
        kind: type[User] = self.model._meta.get_field("user").related_model  # type: ignore[assignment]
        return kind.USERNAME_FIELD


class KnownPlace(models.Model):
    """An address from which a user has logged in: of IPv6 its first 64 bits, which are one household."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="known_places")
    network = models.CharField(max_length=LONGEST_NETWORK)
    last_at = models.DateTimeField()

    objects = KnownPlaceQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "network"], name="known_place")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.network}"


class FailureCount(models.Model):
    """Failures of one address or name, as the time at which all of them will be forgiven (see `agents.access.brakes`).

    `failures` counts them since none was left, `entry` is the row of the audit log that tells of them.
    """

    key = models.CharField(max_length=80, unique=True)
    forgiven_at = models.DateTimeField(db_index=True)
    failures = models.PositiveIntegerField(default=1)
    entry = models.BigIntegerField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.key}: {self.failures}"

    def seconds_left(self, now: datetime) -> float:
        """Seconds until all is forgiven."""
        return max(0.0, (self.forgiven_at - now).total_seconds())
