"""One transaction of the journal, as its entries see it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import connection
from django.utils import timezone

from myagent.llm import Usage
from sessions_app.journal.known_rows import KnownRows
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.journal.locks import Locks, Needs
from sessions_app.journal.log import Log
from sessions_app.journal.run_log import RunEnd
from sessions_app.journal.share_keeping import ShareKeeping
from sessions_app.journal.stored_size import size_of_message
from sessions_app.journal.usage_ledger import UsageLedger
from sessions_app.journal.writes import Writes
from sessions_app.models import Message, Run, Session


class Batch:
    """Entries read `locks`, and write to `writes` and `log`; the methods here do what concerns several of these."""

    def __init__(
        self, needs: Needs, known: KnownRows | None = None, *, answered: Callable[[], None] = lambda: None
    ) -> None:
        self.answered = answered
        """Called by entries that write for long, as they get on: the database is there, it only has much to do."""
        self.locks = Locks(needs, known)
        self.now = timezone.now()
        """The time of all that is written. Taken behind the locks: a transaction that waited for another is later."""
        self.writes = Writes(self.now)
        self.log = Log(self.writes, self.now)
        self.deleted: list[uuid.UUID] = []
        self.ended: list[RunEnd] = []
        """The runs that were not ended by their owners, who log the ends of their own."""
        self.claimed: dict[uuid.UUID, LockedRun] = {}
        """The runs that have a new epoch."""
        self.shares = ShareKeeping(self.locks, self.writes)
        self._ledger = UsageLedger()

    @cached_property
    def database_now(self) -> datetime:
        """The time by the database's clock, taken behind the locks as well."""
        if connection.vendor == "sqlite":
            return self.now  # the same machine's clock
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")  # CURRENT_TIMESTAMP is when the transaction began
            found: datetime = cursor.fetchone()[0]
            return found

    def change_run(self, run: LockedRun, **columns: Any) -> None:
        """Set columns of a locked run, here and in the database."""
        if "epoch" in columns:
            self.claimed[run.id] = run
        self.locks.change_run(run, columns)
        self.writes.change(Run, run.id, **columns)

    def charge(self, session: LockedSession, run: LockedRun, total: Usage) -> None:
        """Store what a run has used so far, and count what is new of it as use of this day."""
        self._ledger.add(session, run, total)
        self.change_run(run, **asdict(total))

    def touch(self, session: LockedSession) -> None:
        """Something happened that orders users' lists of sessions; a delta, for example, does not."""
        self.writes.change(Session, session.id, active_at=self.now)

    def take_positions(self, session: LockedSession, count: int = 1) -> int:
        """Reserve `count` positions in the history; returns the first."""
        first = session.last_position + 1
        session.last_position += count
        self.writes.change(Session, session.id, last_position=session.last_position)
        return first

    def add_message(self, session: LockedSession, **columns: Any) -> None:
        """Add a row to the history of a session."""
        self.writes.insert(Message, session_id=session.id, created_at=self.now, **columns)
        self.writes.change(Session, session.id, stored_bytes=session.grow(size_of_message(columns)))

    def forget(self, session_id: uuid.UUID) -> None:
        """The session was deleted."""
        self.locks.forget(session_id)
        self.log.forget(session_id)
        self.claimed = {run.id: run for run in self.claimed.values() if run.session_id != session_id}
        self.deleted.append(session_id)

    def close(self) -> None:
        """Write all that is left."""
        self.writes.flush()
        self._ledger.write(self.now)
        self.locks.hand_back()
