"""The folder where a server keeps its database, its secret and its locks."""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECRET_FILE = "secret"
DATABASE_FILE = "myagent.sqlite3"


def make_data_folder(folder: Path) -> Path:
    """Create `folder` for its owner's eyes only, unless it is there, and return it as an absolute path."""
    folder = folder.expanduser().absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def read_secret(folder: Path) -> str:
    """The secret that is kept in `folder`; made at the first call, by whichever process comes first."""
    path = folder / SECRET_FILE
    if not path.exists():
        _make_secret(path)
    return path.read_text(encoding="ascii").strip()


def _make_secret(path: Path) -> None:
    # A link appears with its whole content or not at all, so a process that starts at the same time never reads half.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{SECRET_FILE}-")  # mkstemp: mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        os.unlink(draft)


@contextmanager
def lock(folder: Path, name: str, *, timeout: float = 60) -> Iterator[None]:
    """Hold the lock `name` of the folder among all processes of this machine; it ends with its process.

    SQLite's own file lock, because that works the same on every system. Raises `sqlite3.OperationalError` after
    `timeout` seconds.
    """
    connection = sqlite3.connect(folder / f"{name}.lock", timeout=timeout, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()
