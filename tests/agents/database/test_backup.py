"""Copies of a database: complete, checked, never in the place of another file."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from agents.database.backup import BackupFailed, back_up

ROWS = 3_000


@pytest.fixture
def source(tmp_path):
    """The settings of an SQLite database that somebody writes to just now."""
    path = tmp_path / "source.sqlite3"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE word (text TEXT)")
        writer.executemany("INSERT INTO word VALUES (?)", [("x" * 1000,)] * ROWS)
        writer.commit()
        writer.execute("INSERT INTO word VALUES ('never committed')")
        yield {"ENGINE": "django.db.backends.sqlite3", "NAME": path}


def test_what_is_committed_is_in_one_private_file(source, tmp_path):
    copy = tmp_path / "copies" / "copy.sqlite3"
    copy.parent.mkdir()
    back_up(source, copy)
    assert [path.name for path in copy.parent.iterdir()] == ["copy.sqlite3"]
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as reader:
        assert reader.execute("SELECT count(*), max(text) FROM word").fetchone() == (ROWS, "x" * 1000)
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_no_file_is_replaced_and_no_draft_is_left(source, tmp_path):
    there = tmp_path / "there.sqlite3"
    there.write_text("mine")
    draft = tmp_path / ".there.sqlite3.part"
    draft.write_text("of an attempt that was killed")
    with pytest.raises(FileExistsError):
        back_up(source, there)
    assert there.read_text() == "mine" and not draft.exists()


def test_a_damaged_database_makes_no_copy(source, tmp_path):
    damaged = tmp_path / "damaged.sqlite3"
    with closing(sqlite3.connect(damaged)) as database:
        database.execute("CREATE TABLE word (text TEXT PRIMARY KEY)")
        database.executemany("INSERT INTO word VALUES (?)", [(f"{number:0500}",) for number in range(200)])
        database.commit()
    content = bytearray(damaged.read_bytes())
    content[4096 * 2 : 4096 * 4] = bytes(4096 * 2)
    damaged.write_bytes(content)
    for name in (damaged, tmp_path / "nowhere.sqlite3"):
        with pytest.raises((BackupFailed, sqlite3.OperationalError)):
            back_up({**source, "NAME": name}, tmp_path / "copy.sqlite3")
        assert not list(tmp_path.glob("*copy*"))


def test_what_pg_dump_says_is_why_there_is_no_copy(tmp_path, monkeypatch):
    away = {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "HOST": "127.0.0.1", "PORT": 1, "PASSWORD": ""}
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(BackupFailed, match="pg_dump is not installed"):
        back_up(away, tmp_path / "copy.dump")
    program.write_text('#!/bin/sh\necho "no server at $PGHOST:$PGPORT for $PGDATABASE" >&2\nexit 3\n')
    program.chmod(0o700)
    with pytest.raises(BackupFailed, match=r"no server at 127.0.0.1:1 for x"):
        back_up(away, tmp_path / "copy.dump")
    program.write_text("#!/bin/sh\nexit 4\n")
    with pytest.raises(BackupFailed, match="pg_dump ended with 4"):
        back_up(away, tmp_path / "copy.dump")
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
