"""Connections to PostgreSQL that do not wait for ever: a server that hangs, its kernel still answering, is given up."""

from __future__ import annotations

import time
from typing import Any, Self

import psycopg
from psycopg.pq import TransactionStatus

from agents.database.limits import ANSWER_SECONDS, CHECK_SECONDS, STATEMENT_SECONDS, is_limited, waits


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that raises `OperationalError`, and is broken from then on, when its server does not answer."""

    _answer_seconds = ANSWER_SECONDS

    @classmethod
    def connect(cls, conninfo: str = "", **options: Any) -> Self:
        """Connect; PostgreSQL itself ends what lasts too long, so that no lock outlives a process that is frozen."""
        connection = super().connect(conninfo, **options)
        if is_limited():
            connection.execute(
                "SELECT set_config('statement_timeout', %(limit)s, false),"
                " set_config('idle_in_transaction_session_timeout', %(limit)s, false)",
                {"limit": f"{STATEMENT_SECONDS}s"},
            )
            if not connection.autocommit:
                connection.commit()
        return connection

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        """Execute a statement; the empty one is the pool's question, which has to be answered sooner."""
        if query != "":
            return super().execute(query, *arguments, **options)
        self._answer_seconds = CHECK_SECONDS
        try:
            return super().execute(query, *arguments, **options)
        finally:
            self._answer_seconds = ANSWER_SECONDS

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """Wait for one answer of the server; every wait of a connection that is open comes through here."""
        if not is_limited():
            return super().wait(gen, *arguments, **options)
        waits[id(self)] = time.monotonic()
        try:
            return super().wait(gen, *arguments, **{"timeout": self._answer_seconds} | options)
        except psycopg.OperationalError as error:
            # Every other error leaves a connection that is idle, in a transaction, or broken.
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()
            raise psycopg.OperationalError(f"PostgreSQL did not answer within {self._answer_seconds:g} s") from error
        except psycopg.InternalError as error:
            if error.sqlstate is not None:
                raise  # PostgreSQL's own
            # A pooler whose connection to PostgreSQL ends passes that on, and then says it itself: two answers to one
            # command, which the driver takes for a mistake of its own.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the connection is out of step: {error}") from error
        finally:
            del waits[id(self)]
