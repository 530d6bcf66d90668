"""A copy of the database in a file, made while servers work with it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.database.private_files import make_file

PAGES_AT_ONCE = 1000
"""Between two portions servers may write; what they write meanwhile is in the copy, too."""


class BackupFailed(Exception):
    """There is no usable copy; its text says why."""


def back_up(database: Mapping[str, Any], path: Path) -> None:
    """Copy the database of these settings to the new file `path`: SQLite's own format, or that of `pg_restore`.

    The file appears when it is complete. Raises `BackupFailed`, and `OSError` when it cannot be written.
    """
    draft = path.with_name(f".{path.name}.part")
    draft.unlink(missing_ok=True)  # of an attempt that was killed
    make_file(draft)
    try:
        if database["ENGINE"].endswith("sqlite3"):
            _copy_sqlite(str(database["NAME"]), draft)
        else:
            _dump_postgresql(database, draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a renaming, never replaces a file that appeared meanwhile
    finally:
        draft.unlink()


def _copy_sqlite(name: str, path: Path) -> None:
    source = sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=60)
    target = sqlite3.connect(path)
    try:
        source.backup(target, pages=PAGES_AT_ONCE)
        # A copy is for itself: without this, whoever opens it gets two more files beside it.
        target.execute("PRAGMA journal_mode=DELETE")
        (found,) = target.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise BackupFailed(str(error)) from error
    finally:
        target.close()
        source.close()
    if found != "ok":
        raise BackupFailed(found)


def _dump_postgresql(database: Mapping[str, Any], path: Path) -> None:
    variables = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    given = {variable: str(database[key]) for variable, key in variables.items() if database.get(key)}
    command = ["pg_dump", "--format=custom", "--no-owner", f"--file={path}"]
    try:
        done = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BackupFailed("pg_dump is not installed; it comes with PostgreSQL's client programs") from error
    if done.returncode:
        raise BackupFailed(done.stderr.strip() or f"pg_dump ended with {done.returncode}")
