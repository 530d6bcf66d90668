"""Blocking code in threads that can be given up and do not hold up exit.

The standard library's executor joins its threads when the interpreter ends, so one call that never returns would keep
the process; and a thread that was given up would keep one of its places for good.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("myagent.tools")

SIZE = 32
GIVEN_UP_AT_MOST = 256


@dataclass(slots=True, eq=False)
class Job:
    """A call on its way through the pool; `deliver` is called with its value or its exception, in the thread."""

    call: Callable[[], Any]
    deliver: Callable[[Any, BaseException | None], None]
    label: str
    begun: bool = False
    done: bool = False
    given_up: bool = False


class DaemonPool:
    """A pool of at most `size` daemon threads.

    A thread whose call was given up is replaced, up to `given_up_at_most` at a time; beyond that, calls wait until
    one of them returns.
    """

    def __init__(self, size: int = SIZE, *, given_up_at_most: int = GIVEN_UP_AT_MOST, name: str = "tool") -> None:
        self._size = size
        self._given_up_at_most = given_up_at_most
        self._name = name
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._waiting = self._idle = self._threads = self._given_up = self._started = 0
        self._closed = False

    async def run(self, call: Callable[[], T], *, label: str = "") -> T:
        """Call `call` in a thread, with the caller's context variables, and return its result.

        Cancelling this gives the call up: what it returns is dropped.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        inside = partial(contextvars.copy_context().run, call)
        job = Job(inside, partial(deliver, loop, future), label or describe(call))
        self.submit(job)
        try:
            return await future
        except asyncio.CancelledError:
            self.give_up(job)
            raise

    def submit(self, job: Job) -> None:
        """Let the next free thread run `job`."""
        with self._lock:
            if self._closed:
                raise RuntimeError("The pool is closed.")
            self._waiting += 1
            self._jobs.put(job)
            self._grow()

    def give_up(self, job: Job) -> None:
        """Drop `job`, whose caller was cancelled: skip it, or replace the thread that runs it."""
        with self._lock:
            if job.done or job.given_up:
                return
            job.given_up = True
            if not job.begun:
                return
            self._given_up += 1
            self._grow()
            given_up = self._given_up
        logger.warning("%s was given up while it ran in a thread, which keeps running until it returns.", job.label)
        if given_up >= self._given_up_at_most:
            logger.error("%d calls were given up and do not return; further calls have to wait for them.", given_up)

    def close(self) -> None:
        """Take no more jobs, and let each thread end: the idle ones at once, the others after their job."""
        with self._lock:
            self._closed = True
            self._size = 0
            for _ in range(self._idle):
                self._waiting += 1
                self._jobs.put(Job(_nothing, _drop, "", given_up=True))

    def _grow(self) -> None:
        """Start a thread if a job waits for one and there may be more; the lock is held."""
        limit = self._size + min(self._given_up, self._given_up_at_most)
        if self._waiting <= self._idle or self._threads >= limit:
            return
        self._started += 1
        thread = threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True)
        self._threads += 1
        self._idle += 1  # it counts from now on, or a second job would start another one for nothing
        try:
            thread.start()
        except RuntimeError:
            self._threads -= 1
            self._idle -= 1
            logger.exception("No thread can be started for %s, so its calls wait for the others.", self._name)

    def _work(self) -> None:
        stays = True
        while stays:
            job = self._jobs.get()
            with self._lock:
                self._idle -= 1
                self._waiting -= 1
                job.begun = not job.given_up
            value = error = None
            if job.begun:
                try:
                    value = job.call()
                except BaseException as raised:  # noqa: BLE001 - even SystemExit belongs to who waits
                    error = raised
            stays = self._finish(job)
            if job.begun:
                job.deliver(value, error)
            # An idle thread keeps nothing alive, nor does the traceback, which holds this frame.
            del job, value, error

    def _finish(self, job: Job) -> bool:
        """Whether the thread that did `job` stays; it counts as idle before the result is delivered."""
        with self._lock:
            job.done = True
            if job.begun and job.given_up:
                self._given_up -= 1
            stays = self._threads <= self._size + self._given_up
            if stays:
                self._idle += 1
            else:
                self._threads -= 1
            return stays


class DaemonExecutor(ThreadPoolExecutor):
    """What `asyncio.to_thread` uses on a tool's loop, so that its threads do not hold up exit either."""

    def __init__(self, pool: DaemonPool) -> None:
        super().__init__(max_workers=1)  # never started: it starts threads in its own submit()
        self._pool = pool

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - belongs to who waits for the future
                future.set_exception(error)

        self._pool.submit(Job(call, _drop, describe(fn)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing: the threads are not waited for."""


def deliver(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], value: Any, error: BaseException | None
) -> None:
    """Set the result of a `future` of `loop` from another thread; does nothing when it is done already."""
    try:
        loop.call_soon_threadsafe(_settle, future, value, error)
    except RuntimeError:
        logger.debug("A call returned after the loop that waited for it was closed.")


def _settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(_raisable(error))


def _raisable(error: BaseException) -> Exception:
    """`error`, or an error that names it, if raising it would end or cancel the task that waits."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"The code raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _nothing() -> None:
    """A job that wakes a thread which is to end."""


def _drop(value: Any, error: BaseException | None) -> None:
    """Drop the result."""


def describe(call: Callable[..., Any]) -> str:
    """A name of `call` for the log."""
    while isinstance(call, partial):
        call = call.func
    return getattr(call, "__qualname__", None) or type(call).__name__


_pool = DaemonPool()


async def run_in_daemon_thread(call: Callable[[], T], *, label: str = "") -> T:
    """Call `call` in one of the process's daemon threads; `DaemonPool.run` says how."""
    return await _pool.run(call, label=label)
