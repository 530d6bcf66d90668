"""The table of the event log."""

from __future__ import annotations

import uuid
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from sessions_app.models.session import Session


class EventQuerySet(models.QuerySet["Event"]):
    def after(self, session_id: uuid.UUID, seq: int) -> Self:
        """What the log of a session holds behind `seq`, in order."""
        return self.filter(session_id=session_id, seq__gt=seq).order_by("seq")


class Event(models.Model):
    """One logged event; `frame` is the exact text that goes over the wire."""

    session = models.ForeignKey(
        Session, models.CASCADE, related_name="events", db_index=False, verbose_name=_("session")
    )
    seq = models.BigIntegerField(_("seq"))
    name = models.CharField(_("event"), max_length=48)
    step_id = models.CharField(_("step id"), max_length=64, blank=True)
    frame = models.TextField(_("frame"))
    created_at = models.DateTimeField(_("created"))

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [models.UniqueConstraint(fields=["session", "seq"], name="event_seq_once")]

    def __str__(self) -> str:
        return f"{self.seq} {self.name}"
