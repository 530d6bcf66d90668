"""Files that a session is given, and that are taken back before a message names them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from agents.budgets.shares import Shares
from myagent.protocol.error_codes import ErrorCode
from sessions_app.journal.batch import Batch
from sessions_app.journal.entry import Entry
from sessions_app.journal.file_links import has_already, link_file, take_back
from sessions_app.journal.refusal import Refused
from sessions_app.models import Session, SessionFile, StoredFile


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFiles(Entry):
    """Stored files, by their names, that a session has from now on: all of them or none.

    Refused with `session_closed`, with `too_many_files` where it would have more than `max_files`, with
    `file_not_found` when one was deleted since it was stored, and with `over_quota` when the session's owner has no
    room for them in `shares`.
    """

    names: Mapping[uuid.UUID, str]
    max_files: int
    shares: Shares | None = None

    @property
    def counts_owner(self) -> bool:
        # Files are large: in several processes at once they would be much more than the share.
        return self.shares is not None

    def apply(self, batch: Batch) -> None:
        session = batch.locks.session(self.session_id)
        if session.status != Session.Status.OPEN:
            raise Refused(ErrorCode.SESSION_CLOSED)
        batch.writes.flush()
        # Not twice, when the answer to a COMMIT was lost.
        new = self.names.keys() - has_already(session.id, self.names)
        rows = StoredFile.objects.select_for_update(no_key=True).filter(pk__in=new).order_by("pk")
        sizes = dict(rows.values_list("pk", "size"))
        if len(sizes) < len(new):
            raise Refused(ErrorCode.FILE_NOT_FOUND)
        if SessionFile.objects.filter(session_id=session.id).count() + len(new) > self.max_files:
            raise Refused(ErrorCode.TOO_MANY_FILES, limit=self.max_files)
        if self.shares is not None:
            batch.shares.check_room(session, self.shares, sum(sizes.values()))
        for file_id, name in self.names.items():
            if file_id in sizes:
                link_file(batch, session, file_id=file_id, name=name, size=sizes[file_id], unreferenced_since=batch.now)
        StoredFile.objects.filter(pk__in=sizes).update(delete_after=None)
        batch.touch(session)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBackFile(Entry):
    """A file that no message names is taken from its session. Its room is free at once.

    Refused with `file_not_found` when the session does not have it, and with `file_in_use` when a message names it.
    """

    loses_files: ClassVar[bool] = True

    file_id: uuid.UUID

    def apply(self, batch: Batch) -> None:
        session = batch.locks.session(self.session_id)
        batch.writes.flush()
        rows = SessionFile.objects.filter(session_id=session.id, file_id=self.file_id)
        if not rows.exists():
            raise Refused(ErrorCode.FILE_NOT_FOUND)
        if rows.filter(unreferenced_since=None).exists():
            raise Refused(ErrorCode.FILE_IN_USE)
        take_back(batch, session, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBackForgottenFiles(Entry):
    """The files of a session that no message has named since before this time are taken from it."""

    loses_files: ClassVar[bool] = True

    before: datetime

    def apply(self, batch: Batch) -> None:
        session = batch.locks.session(self.session_id)
        batch.writes.flush()
        take_back(batch, session, SessionFile.objects.filter(session_id=session.id, unreferenced_since__lt=self.before))
