"""Database work for coroutines, in threads of our own.

asgiref runs all `sync_to_async` work of a process in ONE thread, so a slow query of one connection would delay every
other one. These threads are few, keep their connections to SQLite, and hand those to PostgreSQL back to the pool.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import Error, InterfaceError, InternalError, OperationalError, close_old_connections

logger = logging.getLogger("myagent.database")

THREADS = 4
FIRST_BACK_OFF_SECONDS = 0.05
LONGEST_BACK_OFF_SECONDS = 2.0

_PASSING_STATES = ("25P03", "25006")
"""What PostgreSQL calls internal errors and is none: it ended a transaction that stood still (we were frozen, or cut
off), or takes no writes while another server becomes the primary one."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_executor: ThreadPoolExecutor | None = None


def is_away(error: BaseException) -> bool:
    """Whether `error` says that the database is locked or away, so that the same may succeed later."""
    if isinstance(error, InternalError):
        # Others of this class are damage, which stays.
        return getattr(error.__cause__, "sqlstate", None) in _PASSING_STATES
    return isinstance(error, (OperationalError, InterfaceError))


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call `function`, which may use the ORM, in one of the database threads.

    Cancelling this does not stop the call: what it has begun, it ends.
    """
    call = partial(contextvars.copy_context().run, partial(_with_connections, partial(function, *args, **kwargs)))
    return await asyncio.get_running_loop().run_in_executor(_threads(), call)


async def in_thread_patiently(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """`in_thread` for those who can wait for a database that is away, such as runs: tries until it answers.

    `function` must only read, since it is unknown how far an attempt came.
    """
    back_off = FIRST_BACK_OFF_SECONDS
    while True:
        try:
            return await in_thread(function, *args, **kwargs)
        except Error as error:
            if not is_away(error):
                raise
            logger.warning("The database cannot be read (%s); retrying in %.2f s.", error, back_off)
        await asyncio.sleep(back_off)
        back_off = min(back_off * 2, LONGEST_BACK_OFF_SECONDS)


def _with_connections(call: Callable[[], _T]) -> _T:
    # Before the call: a connection that broke meanwhile is replaced. After it: PostgreSQL's goes back to the pool,
    # SQLite's stays open (CONN_MAX_AGE).
    close_old_connections()
    try:
        return call()
    finally:
        close_old_connections()


def _threads() -> ThreadPoolExecutor:
    global _executor
    if _executor is None:
        _executor = ThreadPoolExecutor(THREADS, thread_name_prefix="myagent-database")
    return _executor


def stop_threads() -> None:
    """Wait for the active calls and end the threads; the next `in_thread` makes new ones."""
    global _executor
    executor, _executor = _executor, None
    if executor is not None:
        executor.shutdown(wait=True)
