"""Database work for coroutines, in threads of our own.

asgiref runs all `sync_to_async` work of a process in ONE thread, so a slow query of one connection would delay every
other one. These threads are few, keep their connections to SQLite, and hand those to PostgreSQL back to the pool. They
are daemons: one that hangs in a driver holds up no exit.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

from django.db import Error, InterfaceError, InternalError, OperationalError, close_old_connections

from agents.database.limits import longest_wait
from myagent.daemon_threads import DaemonPool

logger = logging.getLogger("myagent.database")

THREADS = 4
FIRST_BACK_OFF_SECONDS = 0.05
LONGEST_BACK_OFF_SECONDS = 2.0
SILENCE_SECONDS = 3.0
"""A database that has answered nobody for so long counts as away for those who have waited for so long."""

LOOK_SECONDS = 0.5

_PASSING_STATES = ("25P03", "25006")
"""What PostgreSQL calls internal errors and is none: it ended a transaction that stood still (we were frozen, or cut
off), or takes no writes while another server becomes the primary one."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_threads: DaemonPool | None = None
_answered_at = _failed_at = 0.0


class NoAnswer(OperationalError):
    """The database has answered no query for `SILENCE_SECONDS`; the call may still end."""


def is_away(error: BaseException) -> bool:
    """Whether `error` says that the database is locked or away, so that the same may succeed later."""
    if isinstance(error, InternalError):
        # Others of this class are damage, which stays.
        return getattr(error.__cause__, "sqlstate", None) in _PASSING_STATES
    return isinstance(error, (OperationalError, InterfaceError))


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call `function`, which may use the ORM, in one of the database threads.

    Cancelling this does not stop the call: what it has begun, it ends. Raises `NoAnswer` while the database hangs; one
    slow query among others that are answered is waited for.
    """
    began = time.monotonic()
    inside = partial(contextvars.copy_context().run, partial(_with_connections, partial(function, *args, **kwargs)))
    future: asyncio.Future[_T] = asyncio.wrap_future(_pool().submit(inside))
    future.add_done_callback(_seen)
    while not future.done():
        await asyncio.wait({future}, timeout=LOOK_SECONDS)
        if not future.done() and _is_silent_since(began):
            raise NoAnswer(f"no answer within {SILENCE_SECONDS:g} s")
    return future.result()


def _is_silent_since(began: float) -> bool:
    """Whether the database, and not this machine, is why a call that began then has no result yet."""
    is_hanging = longest_wait() >= SILENCE_SECONDS or _failed_at > _answered_at
    return is_hanging and time.monotonic() - max(began, _answered_at) >= SILENCE_SECONDS


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
            # Once: while the database is away, runs and clients by the hundred may wait for it here.
            level = logging.WARNING if back_off == FIRST_BACK_OFF_SECONDS else logging.DEBUG
            logger.log(level, "The database cannot be read (%s); retrying in %.2f s.", error, back_off)
        await asyncio.sleep(back_off)
        back_off = min(back_off * 2, LONGEST_BACK_OFF_SECONDS)


def _with_connections(call: Callable[[], _T]) -> _T:
    global _answered_at, _failed_at
    # Before the call: a connection that broke meanwhile is replaced. After it: PostgreSQL's goes back to the pool,
    # SQLite's stays open (CONN_MAX_AGE).
    close_old_connections()
    try:
        value = call()
    except Exception as error:
        if is_away(error):
            _failed_at = time.monotonic()
        else:
            _answered_at = time.monotonic()
        raise
    else:
        _answered_at = time.monotonic()
        return value
    finally:
        close_old_connections()


def _seen(future: asyncio.Future[Any]) -> None:
    """An exception that nobody waits for any more is no error of the loop."""
    if not future.cancelled():
        future.exception()


def _pool() -> DaemonPool:
    global _threads
    if _threads is None:
        _threads = DaemonPool(THREADS, name="myagent-database")
    return _threads


def stop_threads() -> None:
    """Let each thread end after its call; the next `in_thread` makes new ones."""
    global _threads
    pool, _threads = _threads, None
    if pool is not None:
        pool.shutdown()
