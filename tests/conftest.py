"""What all tests share. A test that uses `server` talks to a real server process over a real socket."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import override_settings
from django.utils.translation import deactivate
from hypothesis import HealthCheck, settings

from myagent.client import Client, ServerFrame, connect
from tests.support.admin_pages import ann, boss  # noqa: F401 - fixtures
from tests.support.agent_server import AgentServer
from tests.support.model_server import ModelServer
from tests.support.patience import WAIT_SECONDS
from tests.support.services import is_postgres, postgres_url, redis_url  # noqa: F401 - fixtures

TESTS = Path(__file__).resolve().parent
DATABASE = os.environ.get("DATABASE_URL", "")

# No test asks a real model, whatever the environment of the person who runs it says.
for _name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "LLM_MODEL"):
    os.environ.pop(_name, None)

# A shell that runs the tests in the background has them ignore Ctrl-C, nohup has them ignore the end of the terminal,
# and so would the programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Inputs are the same in every run, so that a change fails for what it does alone; `--hypothesis-profile curious` draws
# others. How fast they are generated and used says something of the machine, which is shared, and nothing of the code.
settings.register_profile("curious", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("patient", parent=settings.get_profile("curious"), derandomize=True)
settings.load_profile("patient")

SERVERS = ("agents/hosting", "agents/web", "docs", "faults", "myagent/cli", "myagent/testing", "server")
"""Folders whose tests start servers and commands: a file takes a minute there, and a second elsewhere."""
MARKS_TABLES = re.compile(
    r"mark\.database\b|^from tests\.support(\.entries import| import .*\bentries\b)", re.MULTILINE
)
"""What makes a test one on tables: the marker, or those that `tests.support.entries` has."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files without tests on tables when only those are wanted: each worker would import all of them."""
    only_tables = str(config.option.markexpr).startswith("database and")
    return True if only_tables and collection_path.suffix == ".py" and not _is_on_tables(collection_path) else None


def _is_on_tables(path: Path) -> bool:
    return MARKS_TABLES.search(path.read_text(encoding="utf-8")) is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and put the long files first, so that no worker is left with one at the end.

    Files with tests on tables stay in the order that pytest-django gives them.
    """
    for item in items:
        if _is_slow(item):
            item.add_marker(pytest.mark.slow)
    on_tables = {item.path for item in items if item.get_closest_marker("django_db")}
    long = {path: path.stat().st_size for path in {item.path for item in items} - on_tables if _starts_servers(path)}
    items.sort(key=lambda item: -long.get(item.path, 0))


def _is_slow(item: pytest.Item) -> bool:
    """Whether it drives a browser, or a server on another service than the SQLite file that it has by itself."""
    fixtures = set(getattr(item, "fixturenames", ()))
    others = {"postgres_url", "redis_url"} & fixtures or "PostgreSQL" in item.name
    return "browser" in fixtures or _starts_servers(item.path) and bool(others or is_postgres(DATABASE))


def pytest_collection_finish() -> None:
    """Keep thousands of tests out of the sight of the garbage collector: it would go through them again and again."""
    gc.collect()
    gc.freeze()


def _starts_servers(path: Path) -> bool:
    return any(path.is_relative_to(TESTS / folder) for folder in SERVERS)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Have SQLite's tables in a file, as they are where people use them.

    Django would have them in memory, which threads share by other locks: one that finds a table locked fails at once.
    """
    if not is_postgres(DATABASE):
        database = django_settings.DATABASES["default"]
        database["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """A hash takes a quarter of a second by intention; what it costs is seen in servers, which have it."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session", autouse=True)
def _emptied_by_deleting() -> Iterator[None]:
    """Empty PostgreSQL's tables behind a test that has committed as SQLite's are: to TRUNCATE all of them, which makes
    new files, takes nearly a second. Their order does not matter, since foreign keys are checked at the COMMIT.
    """

    def sql_flush(self: Any, _style: Any, tables: list[str], **_options: Any) -> list[str]:
        return [f"DELETE FROM {self.quote_name(table)}" for table in tables]

    with pytest.MonkeyPatch.context() as patch:
        if is_postgres(DATABASE):
            patch.setattr(connection.ops.__class__, "sql_flush", sql_flush)
        yield


@pytest.fixture(autouse=True)
def _language_of_its_own() -> Iterator[None]:
    """Leave the language that a page was asked in to no other test: which one comes next is chance."""
    yield
    deactivate()


@pytest.fixture
def in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process says is English, for tests that look at the words."""
    monkeypatch.setattr("myagent.i18n._language", "en")


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    """The model of the module's server."""
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def server_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """How the module's server is started: its global SERVER, as keywords of `AgentServer`; `files` are the agents."""
    return dict(getattr(request.module, "SERVER", {}))


@pytest.fixture(scope="module")
def running_server(
    model: ModelServer, tmp_path_factory: pytest.TempPathFactory, server_options: dict[str, Any]
) -> Iterator[AgentServer]:
    files = server_options.pop("files", ("tools.py",))
    with AgentServer(tmp_path_factory.mktemp("server"), *files, model=model, **server_options) as server:
        yield server


@pytest.fixture
def server(running_server: AgentServer, model: ModelServer) -> Iterator[AgentServer]:
    """A server that is shared by the tests of a module; the model's script and requests are those of this test."""
    model.reset()
    running_server.forget_log()
    yield running_server
    sys.stdout.write(running_server.log)  # shown when the test fails


@pytest.fixture
async def client(server: AgentServer) -> AsyncIterator[Client]:
    """A connection to the server."""
    async with connected(server) as connection:
        yield connection


@asynccontextmanager
async def connected(server: AgentServer, path: str = "", **options: Any) -> AsyncIterator[Client]:
    """A connection on which a wait for something that does not come fails."""
    async with connect(server.url + path, **options) as connection:

        def patient(wait: Callable[..., Awaitable[ServerFrame]]) -> Callable[..., Awaitable[ServerFrame]]:
            async def wait_patiently(wanted: Any, **options: Any) -> ServerFrame:
                try:
                    async with asyncio.timeout(WAIT_SECONDS):
                        return await wait(wanted, **options)
                except TimeoutError:
                    unread = [(frame.event, frame.seq, frame.code) for frame in connection.unread]
                    raise AssertionError(f"{wanted} did not come; unread are {unread[-50:]}") from None

            return wait_patiently

        connection.wait_for = patient(connection.wait_for)  # type: ignore[method-assign]
        connection.request = patient(connection.request)  # type: ignore[method-assign]
        yield connection
