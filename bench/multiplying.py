"""Fills a database with copies of the conversations that are in it, by SQL alone: a million events in seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

_NEW_ID = "lower(hex(randomblob(16)))"


def copy_conversations(path: Path, *, events: int) -> None:
    """Copy all conversations of the SQLite database at `path`, each under new ids, until it has about `events`."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")
        (present,) = database.execute("SELECT count(*) FROM sessions_app_event").fetchone()
        copies = round(events / present) - 1
        if copies > 0:
            _copy(database, copies)
        database.commit()
        database.execute("ANALYZE")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(database: sqlite3.Connection, copies: int) -> None:
    numbers = f"WITH RECURSIVE copy(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < {copies})"
    for name in ("session", "run"):
        database.execute(
            f"CREATE TEMP TABLE new_{name} AS {numbers} "
            f"SELECT n, id AS old, {_NEW_ID} AS new FROM sessions_app_{name}, copy"
        )
        database.execute(f"CREATE INDEX temp.by_{name} ON new_{name} (old, n)")
    session, run = ("new_session", "old = {}.session_id"), ("new_run", "old = {}.run_id")
    _copy_table(database, "session", {"id": "new_session.new"}, ("new_session", "old = {}.id"))
    _copy_table(
        database, "run", {"id": "new_run.new", "session_id": "new_session.new"}, session, ("new_run", "old = {}.id")
    )
    _copy_table(database, "toolcall", {"step_id": _NEW_ID, "run_id": "new_run.new"}, run)
    _copy_table(database, "message", {"run_id": "new_run.new", "session_id": "new_session.new"}, session, run)
    _copy_table(database, "event", {"session_id": "new_session.new"}, session)


def _copy_table(database: sqlite3.Connection, name: str, replaced: Mapping[str, str], *joins: tuple[str, str]) -> None:
    """Insert the rows of a table once for each copy, with these columns replaced; rows get their numbers anew."""
    table = f"sessions_app_{name}"
    columns = [
        name for _, name, *_ in database.execute(f"PRAGMA table_info({table})") if name != "id" or name in replaced
    ]
    chosen = ", ".join(replaced.get(column, f'{table}."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    (first, condition), *others = joins
    source = f"{table} JOIN {first} ON {first}.{condition.format(table)}"
    for other, also in others:
        source += f" JOIN {other} ON {other}.{also.format(table)} AND {other}.n = {first}.n"
    database.execute(f"INSERT INTO {table} ({names}) SELECT {chosen} FROM {source}")
