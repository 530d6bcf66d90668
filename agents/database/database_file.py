"""Notices that the file of a SQLite database was deleted or replaced, and saves what only this process still has.

A process keeps the file that it opened: it would go on storing what nobody finds again after it has ended.
"""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from django.db import OperationalError, connection

Identity = tuple[int, int]


class FileGone(OperationalError):
    """The database file is not where it was; nothing can be stored until it is again."""


class DatabaseFile:
    """The file of this thread's connection; of other databases nothing is checked."""

    def __init__(self) -> None:
        self._path = _path()
        self._identity = _identity(self._path) if self._path else None
        self._rescued = ""

    def check(self) -> None:
        """Raise `FileGone` unless the file that this process opened is still there. Blocking.

        The first time, what the open connection has is written to a file beside it.
        """
        if self._path is None or self._identity is None or _identity(self._path) == self._identity:
            self._rescued = ""
            return
        self._rescued = self._rescued or self._rescue(self._path)
        raise FileGone(f"{self._path} was deleted or replaced while the server runs; {self._rescued}")

    def _rescue(self, path: Path) -> str:
        opened = connection.connection
        if opened is None:
            return "stop the server, put the file back, and start it again"
        target = path.with_name(f"{path.name}.rescued-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            copy = sqlite3.connect(target)
            try:
                opened.backup(copy)
            finally:
                copy.close()
        except (OSError, sqlite3.Error) as error:
            return f"its contents could not be saved to {target} ({error}): put the file back before the server ends"
        return (
            f"everything that was stored is in {target}: stop the server, put that file in its place without "
            "the files -wal and -shm, and start it again"
        )


def never_create() -> None:
    """From now on no thread makes an empty database where the file was deleted."""
    if (path := _path()) is not None:
        connection.settings_dict["OPTIONS"]["database"] = f"file:{quote(str(path))}?mode=rw"


def _path() -> Path | None:
    is_file = connection.vendor == "sqlite" and not connection.is_in_memory_db()  # type: ignore[attr-defined]
    return Path(str(connection.settings_dict["NAME"])) if is_file else None


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
