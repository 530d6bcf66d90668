"""What some tests need of the machine: PostgreSQL, Redis, programs. Found where CI has them.

Whatever answers is used. What does not skips its tests, and with MYAGENT_TEST_REQUIRE_SERVICES=1, as CI sets it, makes
them fail: there a test that is skipped is a test that nobody runs.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, LiteralString, NoReturn

import psycopg
import pytest
import redis
from psycopg import sql

from agents.database.data_folder import DATABASE_FILE, make_data_folder
from tests.support import forked
from tests.support.paths import ROOT

POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/postgres"
REDIS = "redis://127.0.0.1:6379"
REDIS_DATABASES = range(8, 16)
"""Those which these tests may flush; each worker of a pass has one, on SQLite and on PostgreSQL."""
CONNECT_SECONDS = 30
MIGRATE_SECONDS = 120
PREFIX = "myagent_test_"


def required() -> bool:
    """Whether a missing service is a failure."""
    return os.environ.get("MYAGENT_TEST_REQUIRE_SERVICES") == "1"


def lacking(reason: str) -> NoReturn:
    """End the test, or the module that is being imported: it cannot run here, and `reason` says why."""
    if required():
        pytest.fail(f"{reason} (MYAGENT_TEST_REQUIRE_SERVICES is set)", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def module(name: str, *, extra: str) -> Any:
    """A module of a package that comes with this extra of ours."""
    try:
        return import_module(name)
    except ImportError:
        lacking(f"{name} comes with the extra {extra}: pip install -e '.[{extra}]'")


def program(*names: str) -> str:
    """The path of the first of these programs that is installed."""
    found = next(filter(None, map(shutil.which, names)), None)
    return found or lacking(f"{' or '.join(names)} is not installed")


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def postgres_server() -> str:
    """The URL of the PostgreSQL that DATABASE_URL names, else of this machine's; its databases are left alone."""
    given = os.environ.get("DATABASE_URL", "")
    return given if is_postgres(given) else POSTGRES_URL


def answering_postgres() -> str:
    """The URL of a PostgreSQL that answers, for those who make their databases themselves."""
    try:
        psycopg.connect(libpq(postgres_server()), connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError as error:
        lacking(f"PostgreSQL does not answer: {error}")
    return postgres_server()


def is_postgres(url: str) -> bool:
    """Whether a DATABASE_URL names a PostgreSQL."""
    return url.startswith(("postgres://", "postgresql://", "psql://", "pgsql://"))


@contextmanager
def postgres_database() -> Iterator[str]:
    """The URL of a migrated database that is dropped at the end."""
    template = _template()
    name = PREFIX + uuid.uuid4().hex
    _command("CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        yield _url_of(name)
    finally:
        _command("DROP DATABASE {} WITH (FORCE)", name)


@cache
def _template() -> str:
    """The name of an empty migrated database: to copy it takes a tenth of a second, to migrate one takes seconds."""
    name = f"{PREFIX}template_{uuid.uuid4().hex}"
    try:
        _command("CREATE DATABASE {}", name)
    except psycopg.OperationalError as error:
        lacking(f"PostgreSQL does not answer: {error}")
    atexit.register(_command, "DROP DATABASE {} WITH (FORCE)", name)
    give_postgres_tables(_url_of(name))
    return name


def give_postgres_tables(url: str) -> None:
    """Migrate the database at `url`."""
    with tempfile.TemporaryDirectory() as folder:
        _migrate(folder, url)


def _migrate(data_folder: str, url: str) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
    told = {"DATABASE_URL": url, "MYAGENT_DATA_DIR": data_folder, "MYAGENT_SECRET_KEY": "of-no-use"}
    forked.run(command, env=os.environ | told, check=True, timeout=MIGRATE_SECONDS)


def _url_of(database: str) -> str:
    return f"{postgres_server().rpartition('/')[0]}/{database}"


def _command(statement: LiteralString, *names: str) -> None:
    composed = sql.SQL(statement).format(*map(sql.Identifier, names))
    with psycopg.connect(libpq(postgres_server()), autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
        connection.execute(composed)


def libpq(url: str) -> str:
    """`url` as PostgreSQL's own library reads it."""
    return f"postgresql://{url.partition('://')[2]}"


def ask_postgres(url: str, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    """The rows that a statement brings from the database at `url`."""
    with psycopg.connect(libpq(url), autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


# --- SQLite -----------------------------------------------------------------------------------------------------------


def give_sqlite_tables(data_folder: Path) -> None:
    """Put an empty migrated database into a data folder that has none: a server starts in half the time."""
    database = make_data_folder(data_folder) / DATABASE_FILE
    if not database.exists():
        shutil.copyfile(_sqlite_template(), database)


@cache
def _sqlite_template() -> Path:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    _migrate(folder.name, "")
    return Path(folder.name, DATABASE_FILE)


# --- Redis ------------------------------------------------------------------------------------------------------------


def redis_database() -> int:
    """The one of this process: what is flushed by a test concerns no other that runs meanwhile."""
    half = len(REDIS_DATABASES) // 2
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % half
    return REDIS_DATABASES[worker + (half if is_postgres(os.environ.get("DATABASE_URL", "")) else 0)]


def answering_redis() -> str:
    """The URL of a Redis database that tests may flush."""
    url = f"{REDIS}/{redis_database()}"
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS) as client:
            client.ping()
    except redis.RedisError as error:
        lacking(f"Redis does not answer: {error}")
    return url


# --- fixtures ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A migrated PostgreSQL database of this test alone."""
    with postgres_database() as url:
        yield url


@pytest.fixture
def redis_url() -> str:
    """A Redis database that this test may flush."""
    return answering_redis()
