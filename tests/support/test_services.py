"""A service that is missing skips its tests, and fails them where it has to be there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import services


@pytest.fixture(params=["1", "", None], ids=["required", "empty", "not set"])
def ending(request, monkeypatch):
    """How a test has to end that lacks a service."""
    if request.param is None:
        monkeypatch.delenv("MYAGENT_TEST_REQUIRE_SERVICES", raising=False)
    else:
        monkeypatch.setenv("MYAGENT_TEST_REQUIRE_SERVICES", request.param)
    return pytest.fail.Exception if request.param == "1" else pytest.skip.Exception


def test_a_program_that_is_missing(ending):
    with pytest.raises(ending, match="no-such-program or not-this-one is not installed"):
        services.program("no-such-program", "not-this-one")


def test_a_program_that_is_there():
    found = services.program("no-such-program", Path(sys.executable).name, sys.executable)
    assert Path(found).exists()


def test_a_postgresql_that_does_not_answer(ending, monkeypatch, unused_tcp_port):
    services._template.cache_clear()
    monkeypatch.setenv("DATABASE_URL", f"postgres://postgres@127.0.0.1:{unused_tcp_port}/postgres")
    with pytest.raises(ending, match="PostgreSQL does not answer"), services.postgres_database():
        raise AssertionError


def test_a_redis_that_does_not_answer(ending, monkeypatch, unused_tcp_port):
    monkeypatch.setattr(services, "REDIS", f"redis://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ending, match="Redis does not answer"):
        services.answering_redis()


def test_a_database_of_its_own(postgres_url):
    assert services.ask_postgres(postgres_url, "SELECT count(*) FROM sessions_app_session") == [(0,)]
    name = postgres_url.rpartition("/")[2]
    with services.postgres_database() as another:
        assert another != postgres_url
    found = services.ask_postgres(postgres_url, "SELECT datname FROM pg_database WHERE datname LIKE 'myagent_test_%%'")
    assert (name,) in found and (another.rpartition("/")[2],) not in found
