"""The table of sessions."""

from __future__ import annotations

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


def usable_by(user_id: int | None, session: str = "") -> models.Q:
    """Sessions of this user, and anonymous ones; `session` is the path to them, as `session__`."""
    return models.Q(**{f"{session}user": None}) | models.Q(**{f"{session}user": user_id})


class SessionQuerySet(models.QuerySet["Session"]):
    def of(self, user_id: int | None) -> Self:
        """The sessions of this user; the anonymous ones, for None."""
        return self.filter(user_id=user_id)


class Session(models.Model):
    """One conversation: its state, and the ends of its history and of its event log."""

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        """Messages are accepted."""
        CLOSED = "closed", _("closed")
        """Read-only: ended by `user.close_session`, or because it was idle for too long."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.CharField(_("agent"), max_length=64, db_index=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        db_index=False,  # `session_of_user` begins with it
        related_name="agent_sessions",
        verbose_name=_("user"),
    )
    title = models.CharField(_("title"), max_length=200, blank=True)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.OPEN)
    state = models.JSONField(pgettext_lazy("what tools keep", "state"), default=dict, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    last_seq = models.BigIntegerField(_("last event"), default=0)
    last_position = models.BigIntegerField(_("last message"), default=0)
    stored_bytes = models.BigIntegerField(_("stored bytes"), null=True, blank=True, editable=False)
    """Of the log and the history. None until they are counted, for a session from before they were."""
    visitor = models.CharField(max_length=32, null=True, blank=True, editable=False)  # noqa: DJ001 - absent for users
    """Of an anonymous session, the mark of the address that it was created from (`agents.access.visitors`)."""
    forked_from = models.JSONField(_("forked from"), null=True, blank=True)
    """The session and the point of it that this one continues, as the wire has it; that session may be deleted."""
    family_id = models.UUIDField(null=True, blank=True, editable=False)
    """Of a fork, the session that the first one of its family continues, which may be deleted: forks of forks and all
    forks of one session have the same. None for a session that is no fork; its own id is that of its family.
    """
    thread = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001 - unique when set
    """What finds a session that a client of another protocol named itself (`sessions_app.services.named_sessions`)."""
    acked_seq = models.BigIntegerField(_("acknowledged event"), default=0)
    created_at = models.DateTimeField(_("created"))
    active_at = models.DateTimeField(_("last active"))

    objects = SessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        permissions = [
            ("view_any_session", "Can view the sessions of other users"),
            ("view_led_session", "Can view the sessions of the members of groups that they lead"),
            ("export_session", "Can export sessions that may be viewed"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["thread"], condition=models.Q(thread__isnull=False), name="session_of_thread"
            )
        ]
        indexes = [
            models.Index(fields=["user", "-active_at", "-id"], name="session_of_user"),
            models.Index(
                fields=["family_id", "-active_at", "-id"],
                condition=models.Q(family_id__isnull=False),
                name="session_of_family",
            ),
            models.Index(fields=["visitor"], condition=models.Q(visitor__isnull=False), name="session_of_visitor"),
            models.Index(fields=["id"], condition=models.Q(stored_bytes__isnull=True), name="session_uncounted"),
        ]

    def __str__(self) -> str:
        return self.title or str(_("without a title (%(id)s)")) % {"id": str(self.id)[:8]}

    @property
    def in_family(self) -> models.Q:
        """Which sessions are of one family with this one, itself among them."""
        root = self.family_id or self.id
        return models.Q(pk=root) | models.Q(family_id__in={root, self.id})
