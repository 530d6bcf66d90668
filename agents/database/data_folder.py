"""The folder where a server keeps its database, its secret and its locks."""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.database.private_files import file_mode, make_file, make_folder, mend, require_private

SECRET_FILE = "secret"
DATABASE_FILE = "myagent.sqlite3"


def make_data_folder(folder: Path, *, group_access: bool = False) -> Path:
    """Make `folder` unless it is there, and return it as an absolute path.

    A folder that is there keeps its mode, since it may be a project's or a volume; of the files in it, ours lose the
    rights that nobody else should have.
    """
    folder = folder.expanduser().absolute()
    make_folder(folder, group_access=group_access)
    for path in (*folder.glob(f"{DATABASE_FILE}*"), *folder.glob("*.lock"), folder / SECRET_FILE):
        mend(path, group_access=group_access)
    return folder


def make_database_file(path: Path, *, group_access: bool = False) -> None:
    """Make an empty SQLite database unless one is there; SQLite gives the files beside it the same mode.

    Raises `NotPrivate` for one that somebody else can get at.
    """
    if not path.exists():
        make_file(path, group_access=group_access)
    for file in path.parent.glob(f"{path.name}*"):
        require_private(file, group_access=group_access)


def read_secret(folder: Path, *, group_access: bool = False) -> str:
    """The secret that is kept in `folder`; made at the first call, by whichever process comes first.

    Raises `NotPrivate` for one that somebody else can get at.
    """
    path = folder / SECRET_FILE
    if not path.exists():
        _make_secret(path, file_mode(group_access=group_access))
    require_private(path, group_access=group_access)
    return path.read_text(encoding="ascii").strip()


def _make_secret(path: Path, mode: int) -> None:
    # A link appears with its whole content or not at all, so a process that starts at the same time never reads half.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{SECRET_FILE}-")  # mkstemp: mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        os.unlink(draft)


@contextmanager
def lock(folder: Path, name: str, *, timeout: float = 60, group_access: bool = False) -> Iterator[None]:
    """Hold the lock `name` of the folder among all processes of this machine; it ends with its process.

    SQLite's own file lock, because that works the same on every system. Raises `sqlite3.OperationalError` after
    `timeout` seconds.
    """
    path = folder / f"{name}.lock"
    make_file(path, group_access=group_access)
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()
