"""The names of conversations that were deleted, for clients of other protocols, which name them; how names are kept."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import orjson
from django.conf import settings
from django.db import models

REMEMBERED = timedelta(days=30)
"""How long such a name is not used again by itself: longer than a page stays open that still shows what was said."""


def thread_of(user_id: int | None, agent: str, name: str) -> str:
    """What finds the conversation that a user has with an agent under this name: a digest, which does not tell it."""
    return hashlib.sha256(orjson.dumps([user_id, agent, name])).hexdigest()


class DeletedThread(models.Model):
    """A conversation that was deleted by its user, or for its age. It goes with the user, and after a while."""

    thread = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    deleted_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.thread[:8]
