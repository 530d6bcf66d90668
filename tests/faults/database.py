"""The database of the fault suite's servers from outside: what is stored, and trouble for whoever uses it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString, Protocol
from uuid import UUID

import psycopg

Row = dict[str, Any]
LOCK_WAIT_SECONDS = 30
TABLES = ("session", "run", "message", "toolcall", "confirmation", "span", "event")
_IDS = ("id", "session_id", "run_id")
_JSON = ("answer", "arguments", "arguments_run", "tool_calls", "parts")


class Database(Protocol):
    """One of the databases that a server can have; `has_connections` says whether there are any to be cut."""

    has_connections: bool

    def rows(self, table: LiteralString) -> list[Row]:
        """Everything in a table, by its primary key: ids as text, times as seconds, JSON as values."""
        ...

    def hold_lock(self, seconds: float) -> None:
        """Let nobody else write for so long. Blocks; raises when the lock was not to be had."""
        ...

    def cut_connections(self) -> None:
        """End the connections of the servers, where there are any."""
        ...


class SQLite:
    """The embedded database at `path`."""

    has_connections = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, table: LiteralString) -> list[Row]:
        with self._connect() as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute(f"SELECT * FROM sessions_app_{table} ORDER BY rowid").fetchall()
        return [_plain(dict(row)) for row in found]

    def hold_lock(self, seconds: float) -> None:
        with self._connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            threading.Event().wait(seconds)
            connection.execute("ROLLBACK")

    def cut_connections(self) -> None:
        """There are none: SQLite is a file."""

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=LOCK_WAIT_SECONDS, isolation_level=None)) as connection:
            yield connection


class PostgreSQL:
    """The database at a `postgres://` URL."""

    has_connections = True

    def __init__(self, url: str) -> None:
        self._url = f"postgresql://{url.partition('://')[2]}"

    def rows(self, table: LiteralString) -> list[Row]:
        with self._connect() as connection:
            cursor = connection.execute(f"SELECT * FROM sessions_app_{table} ORDER BY 1")
            names = [column.name for column in cursor.description or ()]
            return [_plain(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]

    def hold_lock(self, seconds: float) -> None:
        with self._connect() as connection, connection.transaction():
            connection.execute("LOCK TABLE sessions_app_session, sessions_app_run IN EXCLUSIVE MODE")
            threading.Event().wait(seconds)

    def cut_connections(self) -> None:
        with self._connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    @contextmanager
    def _connect(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self._url, autocommit=True, connect_timeout=LOCK_WAIT_SECONDS) as connection:
            yield connection


def _plain(row: Row) -> Row:
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _IDS and not isinstance(value, int):
        return str(UUID(str(value)))
    if name.endswith("_at") or name == "lease_until":
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    if name in _JSON and isinstance(value, str):
        return json.loads(value)
    return value
