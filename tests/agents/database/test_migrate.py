"""A database whose tables are not those of this program."""

from __future__ import annotations

import pytest
from django.core.management.base import CommandError
from django.db import DatabaseError, OperationalError, ProgrammingError
from django.db.migrations.recorder import MigrationRecorder

from agents.database.migrate import bring_up_to_date, explained, unknown_migrations
from agents.database.threads import is_away
from sessions_app.upkeep.schema_watch import SchemaWatch
from tests.support.entries import threads

pytestmark = threads


@pytest.fixture
def newer():
    """A later version of this program was here."""
    from django.db import connection

    recorder = MigrationRecorder(connection)
    recorder.record_applied("sessions_app", "0999_of_the_future")
    recorder.record_applied("of_somebody_else", "0001_initial")
    yield
    recorder.record_unapplied("sessions_app", "0999_of_the_future")
    recorder.record_unapplied("of_somebody_else", "0001_initial")


def test_a_database_of_this_version_is_known():
    assert unknown_migrations() == []
    bring_up_to_date()


def test_old_code_does_not_start_on_a_newer_database(newer, in_english):
    with pytest.raises(CommandError, match=r"newer version .*sessions_app\.0999_of_the_future\n   Start that version"):
        bring_up_to_date()


@pytest.mark.parametrize(
    ("error", "is_about_tables"),
    [
        (ProgrammingError("column x does not exist"), True),
        (DatabaseError("null value in column x"), True),
        (OperationalError("table events has no column named frame"), True),
        (OperationalError("database is locked"), False),
        (ValueError("a bug"), False),
    ],
)
def test_what_fails_under_old_code_waits_for_the_new(newer, error, is_about_tables):
    found = explained(error)
    if not is_about_tables:
        assert found is error
    else:
        assert is_away(found)
        assert "Restart this server" in str(found)


def test_on_tables_that_are_known_an_error_is_what_it_is():
    error = ProgrammingError("column x does not exist")
    assert explained(error) is error


async def test_a_server_that_runs_says_so_once(newer, caplog):
    watch = SchemaWatch()
    for _ in range(2):
        await watch.check()
    assert [record.getMessage()[0] for record in caplog.records if "0999" in record.getMessage()] == ["❌"]
