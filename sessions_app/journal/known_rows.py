"""Sessions and runs as the last commits left them, which need not be read again while nobody else has written.

On SQLite `PRAGMA data_version` tells whether another connection, of this process or of another one, has committed since
(https://sqlite.org/pragma.html#pragma_data_version). Asked by a transaction that has the right to write, the answer
holds until that transaction ends. On PostgreSQL nothing is known, and rows are read as they are locked.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from typing import Any

from django.db import connection

from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.models import Run

_MOST_ROWS = 5_000
"""When there are more, all are forgotten: a few hundred sessions are busy at a time."""


class KnownRows:
    """For one thread. It knows unfinished runs only: nothing is written for the others.

    What is taken from it belongs to the transaction, which changes it, and gives back with `keep` what it leaves. The
    next one finds nothing here unless that was `committed`.
    """

    def __init__(self) -> None:
        self._as_of: tuple[Any, int] | None = None
        self._now: tuple[Any, int] | None = None
        self._is_kept = False
        self._sessions: dict[uuid.UUID, LockedSession] = {}
        self._runs: dict[uuid.UUID, LockedRun] = {}
        self._runs_of: dict[uuid.UUID, dict[uuid.UUID, LockedRun]] = {}
        """By session, of those whose unfinished runs are all known."""

    def begin(self) -> None:
        """Forget what may have changed. Called by each transaction before it takes anything."""
        self._now = _version()
        if self._now is None or self._now != self._as_of:
            self.forget()
        self._as_of, self._is_kept = None, False

    def session(self, session_id: uuid.UUID) -> LockedSession | None:
        return self._sessions.get(session_id)

    def run(self, run_id: uuid.UUID) -> LockedRun | None:
        return self._runs.get(run_id)

    def unfinished_of(self, session_id: uuid.UUID) -> Collection[LockedRun] | None:
        """The unfinished runs of a session; None while they are not known."""
        runs = self._runs_of.get(session_id)
        return None if runs is None else list(runs.values())

    def keep(self, sessions: Iterable[LockedSession], runs: Iterable[LockedRun], whole: Collection[uuid.UUID]) -> None:
        """Rows as the transaction leaves them; of the sessions `whole` they have all unfinished runs."""
        if self._now is None or len(self._sessions) + len(self._runs) > _MOST_ROWS:
            self.forget()
            return
        self._is_kept = True
        for session in sessions:
            self._sessions[session.id] = session
        for session_id in whole:
            self._runs_of.setdefault(session_id, {})
        for run in runs:
            self._keep_run(run)

    def _keep_run(self, run: LockedRun) -> None:
        of_session = self._runs_of.get(run.session_id, {})
        if run.status in Run.UNFINISHED:
            self._runs[run.id] = of_session[run.id] = run
        else:
            self._runs.pop(run.id, None)
            of_session.pop(run.id, None)

    def committed(self) -> None:
        """What was kept is stored."""
        self._as_of = self._now if self._is_kept else None

    def forget(self) -> None:
        """Know nothing."""
        self._as_of, self._is_kept = None, False
        for known in (self._sessions, self._runs, self._runs_of):
            known.clear()


def _version() -> tuple[Any, int] | None:
    """The connection, and the number that is another one when others have written; None where that cannot be told."""
    if connection.vendor != "sqlite" or connection.transaction_mode not in ("IMMEDIATE", "EXCLUSIVE"):  # type: ignore[attr-defined]
        return None
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        return connection.connection, cursor.fetchone()[0]
