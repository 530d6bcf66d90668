"""The tables of files: what users attach, which sessions have it, and its bytes where the database keeps them."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from sessions_app.models.session import Session


class StoredFile(models.Model):
    """A file whose bytes are in the storage under `location`. It lasts as long as a session has it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    type = models.CharField(_("type"), max_length=100)
    encoding = models.CharField(_("encoding"), max_length=20, blank=True)
    """Of a text; empty for all else."""
    size = models.BigIntegerField(_("size"))
    sha256 = models.CharField("SHA-256", max_length=64)
    location = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(_("created"))
    delete_after = models.DateTimeField(null=True, blank=True, editable=False)
    """When it may be deleted, while no session has it: before it is given to one, and after the last one is gone."""

    class Meta:
        verbose_name = _("stored file")
        verbose_name_plural = _("stored files")
        indexes = [
            models.Index(
                fields=["delete_after"], condition=models.Q(delete_after__isnull=False), name="file_of_no_session"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class SessionFile(models.Model):
    """That a session has a file, and under which name. A fork has the same files by rows of its own."""

    session = models.ForeignKey(
        Session, models.CASCADE, related_name="files", db_index=False, verbose_name=_("session")
    )
    file = models.ForeignKey(StoredFile, models.PROTECT, related_name="sessions", verbose_name=_("stored file"))
    name = models.CharField(_("name"), max_length=200)
    created_at = models.DateTimeField(_("created"))
    unreferenced_since = models.DateTimeField(null=True, blank=True, editable=False)
    """Since when it waits for a message that names it; None once there is one."""

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")
        constraints = [models.UniqueConstraint(fields=["session", "file"], name="file_of_session_once")]
        indexes = [
            models.Index(
                fields=["unreferenced_since"],
                condition=models.Q(unreferenced_since__isnull=False),
                name="file_of_no_message",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class FileChunk(models.Model):
    """A piece of the bytes that the storage in the database keeps under `name`."""

    name = models.CharField(max_length=200)
    number = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        verbose_name = _("piece of a file")
        verbose_name_plural = _("pieces of files")
        constraints = [models.UniqueConstraint(fields=["name", "number"], name="file_chunk_once")]

    def __str__(self) -> str:
        return f"{self.name} {self.number}"
