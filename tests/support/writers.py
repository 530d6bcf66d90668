"""Threads that commit to one database as processes do, and what may happen to them while they do it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, TypeVar, cast

from django.db import OperationalError, connection
from django.db.models import Model

from sessions_app.journal.commit import Committed
from sessions_app.journal.entry import Entry
from sessions_app.journal.known_rows import KnownRows
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.journal.queued_entry import QueuedEntry
from sessions_app.journal.writer import Journal
from sessions_app.models import Run, Session

T = TypeVar("T")


class Died(BaseException):
    """Stands for the end of a process."""


@dataclass(frozen=True)
class Trouble:
    """`dies`: the process ends. `breaks`: its connection does, and the journal tries again.

    Comes before the statement of that number, from 0, before the COMMIT, or after it. Who dies after it has committed
    and has nobody to tell.
    """

    kind: Literal["dies", "breaks"]
    at: int | Literal["before COMMIT", "after COMMIT"]


class CheckedRows(KnownRows):
    """Compares all that is known with what is stored, whenever it is about to be used."""

    def begin(self) -> None:
        super().begin()
        for session in self._sessions.values():
            assert session == _stored(Session, LockedSession, id=session.id)
        for run in self._runs.values():
            assert run == _stored(Run, LockedRun, id=run.id)
        for session_id, runs in self._runs_of.items():
            assert set(runs) == set(Run.objects.unfinished().filter(session=session_id).values_list("pk", flat=True))


def _stored(model: type[Model], kind: Callable[..., T], **key: Any) -> T:
    names = [item.name for item in fields(cast("Any", kind))]
    return kind(*model._default_manager.values_list(*names).get(**key))


class Worker:
    """A thread with a database connection of its own; a context manager."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.known = CheckedRows()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.call(lambda: connection.close())
        self._thread.shutdown()

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """What `function` returns in the thread."""
        return self._thread.submit(function, *args).result()

    def commit(self, entries: Sequence[Entry], trouble: Trouble | None) -> Future[Committed]:
        """Commit in the thread. The future raises `Died` when the process ended before its commit took effect."""
        return self._thread.submit(_commit, entries, trouble, self.known)


def _commit(entries: Sequence[Entry], trouble: Trouble | None, known: KnownRows) -> Committed:
    with closing(asyncio.new_event_loop()) as loop:
        journal = Journal(loop, lambda committed: None)
        journal._known = known
        batch = [QueuedEntry(entry, loop.create_future()) for entry in entries]
    if trouble is None or trouble == Trouble("dies", "after COMMIT"):
        return journal._commit_patiently(batch)
    try:
        with _troubled(trouble):
            return journal._commit_patiently(batch)
    except Died:
        connection.close()
        raise


@contextmanager
def _troubled(trouble: Trouble) -> Iterator[None]:
    """Let `trouble` come once to whoever uses this thread's connection."""
    error = Died() if trouble.kind == "dies" else OperationalError("the connection broke")
    statements, has_come = 0, False

    def execute(run: Callable[..., Any], *statement: Any) -> Any:
        nonlocal statements, has_come
        if not has_come and statements == trouble.at:
            has_come = True
            raise error
        statements += 1
        return run(*statement)

    def commit() -> None:
        nonlocal has_come
        comes, has_come = not has_come and not isinstance(trouble.at, int), True
        if comes and trouble.at == "before COMMIT":
            connection.rollback()
            raise error
        original()
        if comes:
            raise error

    original = connection.commit
    connection.commit = commit
    try:
        with connection.execute_wrapper(execute):
            yield
    finally:
        del connection.commit
