"""What an operator is told of a database that cannot be used."""

from __future__ import annotations

import os
import socket
import sys

import pytest
from django.core.management.base import CommandError
from django.db import OperationalError, ProgrammingError, connection

from agents.database.trouble import require_answer, unusable, words_about
from myagent import i18n
from tests.support import forked
from tests.support.entries import database
from tests.support.paths import ROOT


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ('FATAL:  database "team" does not exist', "Make it in PostgreSQL"),
        ('FATAL:  role "ann" does not exist', "Make it in PostgreSQL"),
        ('FATAL:  password authentication failed for user "ann"', "the user and the password"),
        ("fe_sendauth: no password supplied", "the user and the password"),
        ('no pg_hba.conf entry for host "10.0.0.1"', "the user and the password"),
        ("connection failed: Connection refused\n\tIs the server running?", "Check that PostgreSQL runs"),
        ("failed to resolve host 'db': Name or service not known", "Check that PostgreSQL runs"),
        ("connection timeout expired", "Check that PostgreSQL runs"),
        ("FATAL:  the database system is starting up", "Check that PostgreSQL runs"),
        ("file is not a database", "Move it away"),
        ("database disk image is malformed", "Move it away"),
        ("attempt to write a readonly database", "needs the right to write"),
        ("unable to open database file", "needs the right to write"),
        ("database is locked", "Another program holds"),
        ("database or disk is full", "Make room"),
    ],
)
def test_what_drivers_say_has_a_cure(said, cure):
    error = unusable(OperationalError(said))
    first, second = str(error).splitlines()
    assert first == f"The database cannot be used: {' '.join(said.split())}"
    assert second.startswith("   ") and cure in second


def test_the_file_is_named():
    assert str(connection.settings_dict["NAME"]) in str(unusable(OperationalError("database is locked")))


def test_what_nobody_foresaw_is_told_as_it_is():
    assert str(unusable(OperationalError("strange"))) == "The database cannot be used: strange"


@pytest.mark.parametrize("command", [("migrate",), ("clearsessions",), ("agents", "list")], ids=" ".join)
def test_a_command_whose_database_is_away_says_it_in_two_lines(command, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # nobody listens there when it is closed
    away = {"DATABASE_URL": f"postgres://ann@127.0.0.1:{port}/team", "MYAGENT_DATA_DIR": str(tmp_path)}
    done = forked.run(
        [sys.executable, str(ROOT / "manage.py"), *command],
        env={**os.environ, **away, "MYAGENT_LANGUAGE": "en"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    first, second = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert first.startswith("❌ The database cannot be used: ") and "refused" in first
    assert second == "   Check that PostgreSQL runs, and host and port in DATABASE_URL."


def test_an_error_of_another_kind_is_not_explained():
    assert words_about(ProgrammingError("a bug")) is None


class TestAsking:
    pytestmark = database

    def test_a_database_that_answers(self):
        require_answer()

    def test_a_postgresql_that_lets_nobody_in(self, monkeypatch):
        if connection.vendor != "postgresql":
            pytest.skip("SQLite is a file: nobody has to be asked")
        monkeypatch.setitem(connection.settings_dict, "NAME", "a_database_that_is_not_there")
        with pytest.raises(CommandError, match="does not exist\n   Make it in PostgreSQL"):
            require_answer()
