"""The table of who leads which group."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils.translation import gettext_lazy as _


class GroupLead(models.Model):
    """A user who leads a group, and with `sessions_app.view_led_session` may view its members' conversations."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="leads", verbose_name=_("user")
    )
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="leads", verbose_name=_("group"))

    class Meta:
        verbose_name = _("lead of a group")
        verbose_name_plural = _("leads of groups")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "group"], name="one_lead_row_per_user_and_group")]

    def __str__(self) -> str:
        return f"{self.user} · {self.group}"
