"""The table of what agents remember of users."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Memory(models.Model):
    """One thing that an agent remembers of a user across their conversations; its tools and hooks write it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        db_index=False,  # `memory_once` begins with it
        related_name="agent_memories",
        verbose_name=_("user"),
    )
    agent = models.CharField(_("agent"), max_length=64)
    key = models.CharField(_("key"), max_length=200)
    text = models.TextField(_("text"))
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("memory")
        verbose_name_plural = _("memories")
        constraints = [models.UniqueConstraint(fields=["user", "agent", "key"], name="memory_once")]
        indexes = [models.Index(fields=["-changed_at", "-id"], name="memory_newest")]

    def __str__(self) -> str:
        # Without what is remembered: it would stay in the audit log when the row is deleted.
        return f"{self.agent} #{self.pk}"
