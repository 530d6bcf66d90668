"""Blocking code in threads that can be given up."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from myagent.daemon_threads import DaemonPool, describe, run_in_daemon_thread
from tests.support.patience import WAIT_SECONDS

PATIENCE = WAIT_SECONDS

marker: ContextVar[str] = ContextVar("marker", default="unset")


class Gate:
    """Blocks the threads that pass it, until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []

    def block(self) -> str:
        self.threads.append(threading.current_thread())
        self.arrived.release()
        assert self.opened.wait(PATIENCE)
        return "passed"

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.arrived.acquire, True, PATIENCE)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


async def give_up(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_result_comes_from_a_daemon_thread():
    thread = await run_in_daemon_thread(threading.current_thread)
    assert thread.daemon
    assert thread is not threading.current_thread()


async def test_exceptions_come_as_they_are():
    with pytest.raises(ZeroDivisionError):
        await run_in_daemon_thread(lambda: 1 / 0)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), StopIteration()])
async def test_what_would_stop_who_waits_is_wrapped(error):
    def leave() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__) as caught:
        await run_in_daemon_thread(leave)
    assert caught.value.__cause__ is error


async def test_context_variables_are_carried_over():
    def look() -> str:
        seen = marker.get()
        marker.set("changed")
        return seen

    marker.set("mine")
    assert await run_in_daemon_thread(look) == "mine"
    assert marker.get() == "mine"


async def test_idle_threads_are_used_again():
    pool = DaemonPool()
    threads = {await pool.run(threading.get_ident) for _ in range(50)}
    assert len(threads) == 1


async def test_never_more_threads_than_allowed(gate):
    pool = DaemonPool(2)
    tasks = [asyncio.create_task(pool.run(gate.block)) for _ in range(6)]
    await gate.reached()
    await gate.reached()
    assert len(gate.threads) == 2
    gate.opened.set()
    assert await asyncio.gather(*tasks) == ["passed"] * 6
    assert len(set(gate.threads)) == 2


async def test_a_call_that_is_given_up_is_named_and_its_thread_replaced(gate, caplog):
    pool = DaemonPool(1)
    stuck = asyncio.create_task(pool.run(gate.block, label="The tool 'stuck'"))
    await gate.reached()
    waiting = asyncio.create_task(pool.run(threading.current_thread))
    await asyncio.sleep(0)
    assert not waiting.done()
    with caplog.at_level(logging.WARNING):
        await give_up(stuck)
    assert "The tool 'stuck' was given up" in caplog.text
    assert await waiting is not gate.threads[0]


async def test_threads_come_back_when_what_was_given_up_returns(gate):
    pool = DaemonPool(1)
    stuck = asyncio.create_task(pool.run(gate.block))
    await gate.reached()
    await give_up(stuck)
    replacement = await pool.run(threading.current_thread)
    gate.opened.set()
    both = {gate.threads[0], replacement}
    async with asyncio.timeout(PATIENCE):
        while all(thread.is_alive() for thread in both):
            await asyncio.sleep(0.01)
    assert {await pool.run(threading.current_thread) for _ in range(5)} == {each for each in both if each.is_alive()}


async def test_there_is_an_end_to_replacing(gate, caplog):
    pool = DaemonPool(1, given_up_at_most=2)
    for _ in range(3):
        stuck = asyncio.create_task(pool.run(gate.block))
        await gate.reached()
        await give_up(stuck)
    waiting = asyncio.create_task(pool.run(lambda: "at last"))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(gate.threads) == 3
    assert "do not return" in caplog.text
    gate.opened.set()
    assert await waiting == "at last"


async def test_a_call_that_is_given_up_before_it_begins_never_begins(gate, caplog):
    pool = DaemonPool(1)
    ran = threading.Event()
    stuck = asyncio.create_task(pool.run(gate.block))
    await gate.reached()
    waiting = asyncio.create_task(pool.run(ran.set))
    await asyncio.sleep(0)
    await give_up(waiting)
    gate.opened.set()
    await stuck
    await pool.run(lambda: None)
    assert not ran.is_set()
    assert "given up" not in caplog.text


async def test_a_result_is_not_kept_alive_by_an_idle_thread():
    class Big:
        pass

    pool = DaemonPool(1)
    reference = weakref.ref(await pool.run(Big))
    async with asyncio.timeout(PATIENCE):
        while reference() is not None:
            await asyncio.sleep(0.01)


def test_a_result_for_a_loop_that_is_closed_is_dropped(gate):
    pool = DaemonPool(1)

    async def leave() -> None:
        task = asyncio.create_task(pool.run(gate.block))
        await gate.reached()
        await give_up(task)

    asyncio.run(leave())
    gate.opened.set()
    assert asyncio.run(pool.run(lambda: "next")) == "next"


async def test_a_thread_that_cannot_be_started_is_logged_and_others_do_the_work(monkeypatch, caplog):
    pool = DaemonPool(2)
    await pool.run(lambda: None)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert await asyncio.gather(pool.run(lambda: 1), pool.run(lambda: 2)) == [1, 2]
    assert "No thread can be started" in caplog.text


async def test_executor_for_to_thread():
    loop = asyncio.get_running_loop()
    executor = DaemonPool(2)
    thread = await loop.run_in_executor(executor, threading.current_thread)
    assert thread.daemon
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(executor, lambda: 1 / 0)
    assert executor.submit(divmod, 7, 2).result(PATIENCE) == (3, 1)
    executor.shutdown()


async def test_executor_skips_what_was_cancelled(gate):
    pool = DaemonPool(1)
    first = pool.submit(gate.block)
    await gate.reached()
    second = pool.submit(gate.block)
    assert second.cancel()
    gate.opened.set()
    assert first.result(PATIENCE) == "passed"
    await pool.run(lambda: None)
    assert len(gate.threads) == 1
    with pytest.raises(concurrent.futures.CancelledError):
        second.result(PATIENCE)


def test_describe():
    class Caller:
        def __call__(self) -> None: ...

    assert describe(functools.partial(test_describe)) == "test_describe"
    assert describe(Caller()) == "Caller"


def test_a_thread_that_never_returns_does_not_hold_up_exit():
    program = (
        "import asyncio, threading\n"
        "from myagent.daemon_threads import run_in_daemon_thread\n"
        "begun = threading.Event()\n"
        "def forever():\n    begun.set()\n    threading.Event().wait()\n"
        "async def main():\n"
        "    task = asyncio.create_task(run_in_daemon_thread(forever))\n"
        "    await asyncio.to_thread(begun.wait)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
        "print('the end')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "the end\n"), done.stderr


async def test_a_closed_pool_lets_its_threads_end_and_takes_nothing_more(gate):
    pool = DaemonPool(3, name="closing")
    idle = await pool.run(threading.current_thread)
    busy = [asyncio.create_task(pool.run(gate.block)) for _ in range(2)]
    for _ in busy:
        await gate.reached()
    given_up = busy.pop()
    await give_up(given_up)
    pool.shutdown()
    with pytest.raises(RuntimeError):
        await pool.run(threading.current_thread)
    gate.opened.set()
    assert await busy[0] == "passed"
    for thread in (idle, *gate.threads):
        await asyncio.to_thread(thread.join, PATIENCE)
        assert not thread.is_alive()
