from __future__ import annotations

from django.db import models
from django.utils import timezone


class ServerMark(models.Model):
    """One row: what the servers of this database leave for each other, and write to find out whether they can."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    secret_mark = models.CharField(max_length=64)
    """What is known by the secret of the last server that started, and does not tell it."""
    data_folder = models.TextField()
    """Where that server keeps its files: its machine and its folder."""
    stored_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.data_folder
