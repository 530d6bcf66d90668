"""A database file that disappears under a server."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from agents.database import database_file as module
from agents.database.database_file import DatabaseFile, FileGone
from agents.database.threads import is_away


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a base?.sqlite3"


@pytest.fixture
def connection(path, monkeypatch):
    """What Django has of this thread, with a table in WAL mode."""
    with closing(sqlite3.connect(path, isolation_level=None)) as opened:
        opened.execute("PRAGMA journal_mode=WAL")
        opened.execute("CREATE TABLE words (word TEXT)")
        fake = SimpleNamespace(
            vendor="sqlite",
            connection=opened,
            settings_dict={"NAME": str(path), "OPTIONS": {}},
            is_in_memory_db=lambda: False,
        )
        monkeypatch.setattr(module, "connection", fake)
        yield fake


def words(path):
    with closing(sqlite3.connect(path)) as opened:
        return [word for (word,) in opened.execute("SELECT word FROM words")]


def remove(path):
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def replace(path):
    remove(path)
    path.write_bytes(b"")


@pytest.mark.parametrize("happens", [remove, replace, lambda path: path.rename(path.with_name("away"))])
def test_what_was_stored_is_saved_once(path, connection, happens):
    file = DatabaseFile()
    file.check()
    connection.connection.execute("INSERT INTO words VALUES ('kept')")
    happens(path)
    connection.connection.execute("INSERT INTO words VALUES ('seen by a client')")
    for _ in range(2):
        with pytest.raises(FileGone, match="was deleted or replaced.*everything that was stored is in") as gone:
            file.check()
    assert is_away(gone.value), "what cannot be stored now waits"
    (rescued,) = path.parent.glob("*.rescued-*")
    assert rescued.stat().st_mode & 0o777 == 0o600
    assert words(rescued) == ["kept", "seen by a client"]


def test_a_file_that_comes_back_is_the_same(path, connection):
    file = DatabaseFile()
    path.rename(away := path.with_name("away"))
    with pytest.raises(FileGone):
        file.check()
    away.rename(path)
    file.check()


def test_a_folder_that_is_gone_is_made_again(path, connection, tmp_path):
    file = DatabaseFile()
    tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-away"))
    with pytest.raises(FileGone):
        file.check()
    assert len(list(path.parent.glob("*.rescued-*"))) == 1


def test_what_cannot_be_saved_is_told(path, connection, monkeypatch):
    file = DatabaseFile()
    remove(path)
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(FileGone, match="could not be saved.*No space left"):
        file.check()
    connection.connection.close()
    connection.connection = None
    monkeypatch.undo()


def test_without_an_open_connection_there_is_nothing_to_save(path, connection):
    file = DatabaseFile()
    connection.connection, opened = None, connection.connection
    remove(path)
    with pytest.raises(FileGone, match="put the file back"):
        file.check()
    connection.connection = opened


def test_no_thread_makes_an_empty_file_in_its_place(path, connection):
    module.never_create()
    database = connection.settings_dict["OPTIONS"]["database"]
    with closing(sqlite3.connect(database, uri=True)) as opened:
        opened.execute("INSERT INTO words VALUES ('here')")
    remove(path)
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        sqlite3.connect(database, uri=True)
    assert not path.exists()


def test_other_databases_are_not_files(connection):
    connection.vendor = "postgresql"
    DatabaseFile().check()
    module.never_create()
    assert connection.settings_dict["OPTIONS"] == {}
