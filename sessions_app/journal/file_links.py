"""Which sessions have which files: given, shared with a fork, and taken away, within a transaction of the journal."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.db.models import Exists, OuterRef

from sessions_app.journal.batch import Batch
from sessions_app.journal.locked_rows import LockedSession
from sessions_app.models import Session, SessionFile, StoredFile


def link_file(batch: Batch, session: LockedSession, *, file_id: uuid.UUID, name: str, size: int) -> None:
    """Let a session have a file that it did not have, and count its bytes."""
    batch.writes.insert(SessionFile, session_id=session.id, file_id=file_id, name=name, created_at=batch.now)
    batch.writes.change(Session, session.id, stored_bytes=session.grow(size))


def share_files(batch: Batch, from_session: LockedSession, to_session: LockedSession) -> None:
    """Let a new session have all files that another one has. Both are locked; only rows that say so are added."""
    batch.writes.flush()
    rows = SessionFile.objects.filter(session_id=from_session.id).order_by("pk")
    for file_id, name, size in rows.values_list("file_id", "name", "file__size"):
        link_file(batch, to_session, file_id=file_id, name=name, size=size)


def unlink_files(session_id: uuid.UUID, now: datetime) -> None:
    """Take all files, which are locked, from a session; those that no other one has may be deleted from now on."""
    had = SessionFile.objects.filter(session_id=session_id)
    file_ids = list(had.values_list("file_id", flat=True))
    if not file_ids:
        return
    had._raw_delete(had.db)
    elsewhere = SessionFile.objects.filter(file=OuterRef("pk"))
    StoredFile.objects.filter(~Exists(elsewhere), pk__in=file_ids).update(delete_after=now)


def has_already(session_id: uuid.UUID, file_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Those of `file_ids` that a session has."""
    rows = SessionFile.objects.filter(session_id=session_id, file_id__in=list(file_ids))
    return set(rows.values_list("file_id", flat=True))
