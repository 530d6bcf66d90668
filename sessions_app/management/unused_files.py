"""Deletes the files that no session has any more, for commands that delete sessions."""

from __future__ import annotations

from django.utils import timezone

from sessions_app.files.file_store import sweep


def delete_files() -> None:
    """Delete them at once; a running server does it within a minute."""
    while sweep(timezone.now()):
        pass
