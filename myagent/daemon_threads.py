"""Blocking code in threads that can be given up and do not hold up exit.

The standard library's executor joins its threads when the interpreter ends, so one call that never returns would keep
the process; and a thread that was given up would keep one of its places for good.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("myagent.tools")

SIZE = 32
GIVEN_UP_AT_MOST = 256
IDLE_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class _Job:
    call: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)
    done: bool = False
    given_up: bool = False


class DaemonPool(ThreadPoolExecutor):
    """At most `size` daemon threads; an executor, since asyncio wants one for `asyncio.to_thread`.

    A thread whose call was given up is replaced, up to `given_up_at_most` at a time; beyond that, calls wait until
    one of them returns.
    """

    def __init__(self, size: int = SIZE, *, given_up_at_most: int = GIVEN_UP_AT_MOST, name: str = "tool") -> None:
        super().__init__(max_workers=1)  # never started: it starts threads in its own submit()
        self._size = size
        self._given_up_at_most = given_up_at_most
        self._name = name
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._idle = self._alive = self._given_up = self._started = 0
        self._closed = False

    async def run(self, call: Callable[[], T], *, label: str = "") -> T:
        """Call `call` in a thread, with the caller's context variables, and return its result.

        Cancelling this gives the call up: what it returns is dropped.
        """
        job = self._put(partial(contextvars.copy_context().run, call))
        try:
            result: T = await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            self._give_up(job, label or describe(call))
            raise
        return result

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return self._put(partial(fn, *args, **kwargs)).future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and let each thread end: the idle ones at once, the others after their calls."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put(self, call: Callable[[], Any]) -> _Job:
        job = _Job(call)
        with self._changed:
            if self._closed:
                raise RuntimeError("The pool is closed.")
            self._jobs.append(job)
            self._serve()
        return job

    def _give_up(self, job: _Job, label: str) -> None:
        """Drop `job`, whose caller was cancelled: prevent it from beginning, or replace the thread that runs it."""
        with self._changed:
            if job.future.cancel() or job.done:
                return
            job.given_up = True
            self._given_up += 1
            self._serve()
            given_up = self._given_up
        logger.warning("%s was given up while it ran in a thread, which keeps running until it returns.", label)
        if given_up >= self._given_up_at_most:
            logger.error("%d calls were given up and do not return; further calls have to wait for them.", given_up)

    def _serve(self) -> None:
        """Wake or start a thread for a job that waits, if there may be one more; the lock is held."""
        if self._idle >= len(self._jobs):
            self._changed.notify()
        elif self._alive < self._size + min(self._given_up, self._given_up_at_most):
            self._started += 1
            thread = threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                logger.exception("No thread can be started for %s, so its calls wait for the others.", self._name)
            else:
                self._alive += 1
                self._idle += 1

    def _work(self) -> None:
        process = os.getpid()
        while (job := self._next()) is not None:
            value = error = None
            if begun := job.future.set_running_or_notify_cancel():
                try:
                    value = job.call()
                except BaseException as raised:  # noqa: BLE001 - even SystemExit belongs to who waits
                    error = raised
            if os.getpid() != process:
                os._exit(0)  # a fork that the call made and did not end
            with self._changed:
                job.done = True
                self._given_up -= job.given_up
                self._idle += 1  # before its caller goes on
            if begun:
                settle(job.future, value, error)
            # An idle thread keeps nothing alive, nor does the traceback, which holds this frame.
            del job, value, error

    def _next(self) -> _Job | None:
        """The next job, for a thread that counts as idle; None when it has to end."""
        with self._changed:
            is_needed = self._alive <= self._size + self._given_up
            if is_needed:
                self._changed.wait_for(lambda: self._jobs or self._closed, IDLE_SECONDS)
            self._idle -= 1
            if is_needed and self._jobs:
                return self._jobs.popleft()
            self._alive -= 1
            return None


def settle(future: Future[Any], value: Any, error: BaseException | None) -> None:
    """Set the result of a future that runs; what would end or cancel the task that waits becomes another error."""
    if error is None:
        future.set_result(value)
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        future.set_exception(error)
    else:
        wrapped = RuntimeError(f"The code raised {type(error).__name__}: {error}")
        wrapped.__cause__ = error
        future.set_exception(wrapped)


def describe(call: Callable[..., Any]) -> str:
    """A name of `call` for the log."""
    while isinstance(call, partial):
        call = call.func
    return getattr(call, "__qualname__", None) or type(call).__name__


_pool = DaemonPool()


async def run_in_daemon_thread(call: Callable[[], T], *, label: str = "") -> T:
    """Call `call` in one of the process's daemon threads; `DaemonPool.run` says how."""
    return await _pool.run(call, label=label)
