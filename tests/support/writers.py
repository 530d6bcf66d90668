"""Threads that commit to one database as processes do, and what may happen to them while they do it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from django.db import OperationalError, connection, connections

from sessions_app.journal.commit import Committed
from sessions_app.journal.entry import Entry
from sessions_app.journal.writer import Journal

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


@contextmanager
def separate_database(folder: Path) -> Iterator[None]:
    """Until the end of the block, threads that begin to use the database share one in which writers can meet.

    The tests' own SQLite database is in memory, where a second writer is refused instead of being made to wait.
    """
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    path = str(folder / "shared.sqlite3")
    with closing(sqlite3.connect(path)) as copy:
        connection.connection.backup(copy)
    known: dict[str, Any] = connections.settings["default"]
    before, known["NAME"] = known["NAME"], path
    try:
        yield
    finally:
        known["NAME"] = before


class Worker:
    """A thread with a database connection of its own; a context manager."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)

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
        return self._thread.submit(_commit, entries, trouble)


def _commit(entries: Sequence[Entry], trouble: Trouble | None) -> Committed:
    with closing(asyncio.new_event_loop()) as loop:
        journal = Journal(loop, lambda committed: None)
    if trouble is None or trouble == Trouble("dies", "after COMMIT"):
        return journal._commit_patiently(list(entries))
    try:
        with _troubled(trouble):
            return journal._commit_patiently(list(entries))
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
