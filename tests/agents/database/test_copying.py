"""Everything of an SQLite file in another database, or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import connection, connections

from agents.database.copying import SOURCE, open_source
from agents.database.data_folder import DATABASE_FILE
from myagent import i18n
from sessions_app.runs.process_locks import OwnerLock
from tests.support.entries import database
from tests.support.services import give_sqlite_tables

pytestmark = database

GROUPS = {number: f"group {number}" for number in range(7, 7 + 1_200)}
"""More than go at once, and with numbers that are not those of new rows."""


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


@pytest.fixture
def source(tmp_path):
    """A data folder's database with some rows."""
    give_sqlite_tables(tmp_path)
    file = tmp_path / DATABASE_FILE
    change(file, "INSERT INTO auth_group (id, name) VALUES (?, ?)", *GROUPS.items())
    open_source(file)
    connections[SOURCE].connect()  # Django's tests would keep the command from that: it is not in the settings
    yield file
    connections[SOURCE].close()
    del connections[SOURCE]
    del connections.settings[SOURCE]


def change(file, statement, *rows):
    with closing(sqlite3.connect(file)) as writer:
        writer.executemany(statement, rows or [()])
        writer.commit()


def copied(file):
    out = StringIO()
    call_command("copydatabase", str(file), stdout=out)
    return out.getvalue()


def refusal(file):
    with pytest.raises(CommandError) as refused:
        copied(file)
    return str(refused.value)


def test_all_rows_arrive_and_the_next_one_gets_a_number_of_its_own(source):
    said = copied(source)
    assert f"{len(GROUPS):>10,}  auth_group" in said.splitlines()
    assert "Copied and checked:" in said.splitlines()[-1]
    assert dict(Group.objects.values_list("pk", "name")) == GROUPS
    assert Group.objects.create(name="a new one").pk > max(GROUPS)
    # Permissions are found by their kind: those of the source are the ones that count.
    assert User.objects.count() == 0


def test_a_target_that_is_used_stays_as_it_is(source):
    mine = Group.objects.create(name="mine")
    assert refusal(source) == "Nothing was copied: the target holds rows already, in auth_group"
    assert list(Group.objects.all()) == [mine]


def test_another_version_of_the_tables_is_refused(source):
    change(source, "DELETE FROM django_migrations WHERE app = 'sessions_app' AND name LIKE '0001%'")
    assert "Nothing was copied: different migrations: sessions_app.0001" in refusal(source)
    assert not Group.objects.exists()


def test_a_file_that_is_used_or_not_there_is_refused(source):
    owner = OwnerLock(source.parent)
    owner.acquire()
    assert "A server works with this file" in refusal(source)
    owner.release()
    assert "There is no file" in refusal(source.with_name("nothing.sqlite3"))


def test_the_target_itself_is_refused(source, monkeypatch):
    if connection.vendor != "sqlite":
        pytest.skip("the target is no file")
    monkeypatch.setitem(connection.settings_dict, "NAME", str(source))
    assert "Source and target are the same file" in refusal(source)
