"""Which sessions have which files: given, named, shared with a fork, taken away, in a transaction of the journal."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from myagent.protocol.error_codes import ErrorCode
from sessions_app.journal.batch import Batch
from sessions_app.journal.locked_rows import LockedSession
from sessions_app.journal.refusal import Refused
from sessions_app.models import Message, Session, SessionFile, StoredFile


def link_file(
    batch: Batch,
    session: LockedSession,
    *,
    file_id: uuid.UUID,
    name: str,
    size: int,
    unreferenced_since: datetime | None,
) -> None:
    """Let a session have a file that it did not have, and count its bytes."""
    columns = {"name": name, "created_at": batch.now, "unreferenced_since": unreferenced_since}
    batch.writes.insert(SessionFile, session_id=session.id, file_id=file_id, **columns)
    batch.writes.change(Session, session.id, stored_bytes=session.grow(size))


def check_files(batch: Batch, session_id: uuid.UUID, file_ids: Collection[uuid.UUID]) -> None:
    """Raise `Refused` where a session, which is locked, does not have all of these files (any more)."""
    if not file_ids:
        return
    batch.writes.flush()
    if has_already(session_id, file_ids) != set(file_ids):
        raise Refused(ErrorCode.FILE_NOT_FOUND)


def refer_to_files(batch: Batch, session_id: uuid.UUID, file_ids: Collection[uuid.UUID]) -> None:
    """A message of the session names these files: it has them from now on as long as it lasts."""
    if not file_ids:
        return
    batch.writes.flush()
    SessionFile.objects.filter(session_id=session_id, file_id__in=file_ids).update(unreferenced_since=None)


def release_files(batch: Batch, session_id: uuid.UUID, parts: Iterable[Mapping[str, Any]]) -> None:
    """A message with these parts, which is deleted already, names its files no more: those that no other message of
    the session names wait for one again.
    """
    batch.writes.flush()
    if not (released := _named_in(parts)):
        return
    others = Message.objects.filter(session_id=session_id, parts__isnull=False).values_list("parts", flat=True)
    for other in others.iterator():
        released -= _named_in(other or ())
    SessionFile.objects.filter(session_id=session_id, file_id__in=released).update(unreferenced_since=batch.now)


def _named_in(parts: Iterable[Mapping[str, Any]]) -> set[uuid.UUID]:
    """The files that the parts of a stored message name, each in what it says of its kind."""
    told = [part.get(str(part.get("type"))) for part in parts]
    named: set[uuid.UUID] = set()
    for facts in told:
        if isinstance(facts, dict) and isinstance(file_id := facts.get("file_id"), str):
            with suppress(ValueError):  # in a part that means a file of somebody else
                named.add(uuid.UUID(file_id))
    return named


def share_files(batch: Batch, from_session: LockedSession, to_session: LockedSession) -> None:
    """Let a new session have all files that another one has. Both are locked; only rows that say so are added."""
    batch.writes.flush()
    rows = SessionFile.objects.filter(session_id=from_session.id).order_by("pk")
    for file_id, name, size, since in rows.values_list("file_id", "name", "file__size", "unreferenced_since"):
        link_file(batch, to_session, file_id=file_id, name=name, size=size, unreferenced_since=since)


def unlink_files(session_id: uuid.UUID, now: datetime) -> None:
    """Take all files, which are locked, from a session that is deleted."""
    _unlink(SessionFile.objects.filter(session_id=session_id), now)


def take_back(batch: Batch, session: LockedSession, rows: QuerySet[SessionFile]) -> None:
    """Take some of its files, which are locked, from a session, and count their bytes no more."""
    size = sum(rows.values_list("file__size", flat=True))
    _unlink(rows, batch.now)
    batch.writes.change(Session, session.id, stored_bytes=session.grow(-size))


def _unlink(had: QuerySet[SessionFile], now: datetime) -> None:
    """Delete the rows; the files that no other session has may be deleted from now on."""
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
