"""A PostgreSQL that hangs is given up by the connection itself."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest

from agents.database import bounded_connection, limits
from agents.database.bounded_connection import BoundedConnection
from tests.support.proxy import Proxy
from tests.support.services import answering_postgres, libpq


@pytest.fixture
def proxy():
    place = urlsplit(answering_postgres())
    with Proxy(place.hostname, place.port or 5432) as proxy:
        yield proxy


@pytest.fixture
def serving(monkeypatch):
    """This process is a server."""
    monkeypatch.setattr(limits, "_is_limited", True)


@pytest.fixture
def connection(proxy, monkeypatch):
    monkeypatch.setattr(BoundedConnection, "_answer_seconds", 0.3)
    place = urlsplit(libpq(answering_postgres()))
    url = place._replace(netloc=f"{place.username}@127.0.0.1:{proxy.port}").geturl()
    with BoundedConnection.connect(url, autocommit=True, connect_timeout=5) as connection:
        yield connection


def shown(connection, name):
    return connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0]


def test_a_server_that_does_not_answer_is_given_up(serving, connection, proxy):
    proxy.freeze()
    with pytest.raises(psycopg.OperationalError, match="did not answer within 0.3 s"):
        connection.execute("SELECT 1")
    proxy.thaw()
    assert connection.broken, "its answer may still come, to the next question"


def test_the_pool_is_told_soon_whether_a_connection_lives(serving, connection, proxy, monkeypatch):
    monkeypatch.setattr(bounded_connection, "CHECK_SECONDS", 0.1)
    connection.execute("")
    proxy.freeze()
    with pytest.raises(psycopg.OperationalError, match="did not answer within 0.1 s"):
        connection.execute("")


def test_an_error_is_no_silence(serving, connection):
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("SELECT 1 / 0")
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT set_config('statement_timeout', '50ms', false), pg_sleep(0)").fetchone()
        connection.execute("SELECT pg_sleep(0.2)")
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_server_itself_ends_what_lasts_too_long(serving, connection):
    assert shown(connection, "statement_timeout") == "10s"
    assert shown(connection, "idle_in_transaction_session_timeout") == "10s"


def test_a_command_has_as_long_as_it_takes(connection):
    assert shown(connection, "statement_timeout") == "0"
    assert connection.execute("SELECT pg_sleep(0.4), 1").fetchone()[1] == 1


def test_two_answers_to_one_command_break_the_connection_and_can_be_tried_again(serving, connection):
    """So says a pooler whose connection to PostgreSQL has ended; the driver calls it an internal error."""

    def twice():
        raise psycopg.InternalError("received 2 results from command 'BEGIN'")
        yield

    connection.execute("BEGIN")
    for error in (psycopg.errors.DivisionByZero, psycopg.errors.InFailedSqlTransaction):
        with pytest.raises(error):
            connection.execute("SELECT 1 / 0")
    assert not connection.broken, "what PostgreSQL itself refuses is its answer"
    with pytest.raises(psycopg.OperationalError, match="received 2 results"):
        connection.wait(twice())
    assert connection.broken
