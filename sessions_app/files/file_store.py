"""The bytes of files: stored before a session has them, read while one has them, deleted after the last one is gone.

They are in the storage `STORAGES["myagent_files"]`. Blocking: called in a database thread.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any, Self

from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.db import IntegrityError
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from sessions_app.files.file_kinds import FileKind
from sessions_app.models import SessionFile, StoredFile
from sessions_app.models.session import usable_by

logger = logging.getLogger("myagent.files")

STORAGE = "myagent_files"
KEPT_UNUSED = timedelta(hours=1)
"""How long a file that no session has yet is left alone: far longer than it takes to give it to one."""
SWEPT_AT_ONCE = 1_000
_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as one session has it."""

    id: uuid.UUID
    name: str
    kind: FileKind
    size: int
    sha256: str
    location: str

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        """From the columns `_COLUMNS`."""
        file_id, name, kind, encoding, size, sha256, location = row
        return cls(file_id, name, FileKind(kind, encoding), size, sha256, location)


_COLUMNS = ("file_id", "name", "file__type", "file__encoding", "file__size", "file__sha256", "file__location")


def storage() -> Storage:
    """Where the bytes are."""
    return storages[STORAGE]


def store(content: File, kind: FileKind) -> StoredFile:
    """Store a file that no session has yet: nobody sees it, and unless one gets it, it is deleted later."""
    row_id = uuid.uuid4()
    # The row comes first, so that whatever happens to this process what it leaves behind is found.
    row = StoredFile.objects.create(
        id=row_id,
        type=kind.type,
        encoding=kind.encoding,
        size=content.size,
        sha256=_digest(content),
        location=str(row_id),
        created_at=(now := timezone.now()),
        delete_after=now + KEPT_UNUSED,
    )
    location = storage().save(row.location, content)
    if location != row.location:
        row.location = location
        row.save(update_fields=["location"])
    return row


def files_of(session_id: uuid.UUID, file_ids: Collection[uuid.UUID] | None = None) -> list[FileFacts]:
    """The files of a session, or those of `file_ids` that it has; the oldest first."""
    rows = SessionFile.objects.filter(session_id=session_id).order_by("pk")
    wanted = rows if file_ids is None else rows.filter(file_id__in=file_ids)
    return list(map(FileFacts.of_row, wanted.values_list(*_COLUMNS)))


def usable_file(file_id: uuid.UUID, user_id: int | None, allows: Callable[[str], bool]) -> FileFacts | None:
    """The file, if a session of this user or an anonymous one has it whose agent is one that the caller may use.

    One query in every case, as for sessions.
    """
    rows = SessionFile.objects.filter(usable_by(user_id, "session__"), file_id=file_id).order_by("pk")
    usable = [row for agent, *row in rows.values_list("session__agent", *_COLUMNS) if allows(agent)]
    return FileFacts.of_row(usable[0]) if usable else None


def read(facts: FileFacts, limit: int | None = None) -> bytes:
    """The bytes of a file, or the first `limit` of them. Raises `OSError` when the storage does not have them."""
    with storage().open(facts.location) as file:
        content: bytes = file.read() if limit is None else file.read(limit)
        return content


def discard(rows: Iterable[StoredFile]) -> None:
    """Delete files that no session got."""
    _delete(StoredFile.objects.filter(pk__in=[row.pk for row in rows]))


def sweep(now: datetime) -> int:
    """Delete the files that no session has any more, or never got. Returns how many there were."""
    return _delete(StoredFile.objects.filter(delete_after__lte=now)[:SWEPT_AT_ONCE])


def _delete(candidates: QuerySet[StoredFile]) -> int:
    count = 0
    for row in candidates:
        unused = StoredFile.objects.filter(~Exists(SessionFile.objects.filter(file=OuterRef("pk"))), pk=row.pk)
        if not unused.exists():
            StoredFile.objects.filter(pk=row.pk).update(delete_after=None)
            continue
        # The bytes first: the row finds what is left of them if this process ends in between.
        try:
            storage().delete(row.location)
            unused.delete()
        except (OSError, IntegrityError) as error:
            logger.warning("The file %s cannot be deleted (%s); another attempt is made later.", row.pk, error)
        else:
            count += 1
    return count


def _digest(content: IO[bytes] | File) -> str:
    digest = hashlib.sha256()
    content.seek(0)
    while piece := content.read(_READ_BYTES):
        digest.update(piece)
    content.seek(0)
    return digest.hexdigest()
