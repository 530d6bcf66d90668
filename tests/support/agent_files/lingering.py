"""What outlives a server that waits for it: a thread, child processes, a fork with all its sockets."""

from __future__ import annotations

import atexit
import concurrent.futures
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress

from myagent import create_react_agent, tool

LONG = 300.0

POOL = concurrent.futures.ThreadPoolExecutor(1)
WARM = POOL.submit(time.sleep, LONG if "LINGER_AT_IMPORT" in os.environ else 0)


@tool
def index() -> str:
    """Starts a child process, which ignores SIGTERM if it can."""
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(LONG,), name="indexer").start()
    return "indexing"


@tool
async def keep_thread() -> str:
    """Starts a thread that is no daemon."""
    threading.Thread(target=_linger, name="lingerer", daemon=False).start()
    return "started"


@tool
async def keep_pool() -> str:
    """Starts a pool, whose threads are daemons here, and are waited for nevertheless."""
    concurrent.futures.ThreadPoolExecutor(1).submit(_linger)
    return "started"


def _linger() -> None:
    time.sleep(LONG)


@tool
def wait_at_exit() -> str:
    """Registers a function that does not return."""
    atexit.register(_linger)
    return "registered"


def _close_pipes() -> None:
    """Close standard output and error with all copies, for whose end the reader waits."""
    pipes = [os.fstat(1).st_ino, os.fstat(2).st_ino]
    for number in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):
            if os.fstat(number).st_ino in pipes:
                os.close(number)


@tool
def fork() -> str:
    """Forks this process; the child stays, and has given up nothing by itself."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _close_pipes()
        time.sleep(LONG)
        os._exit(0)
    return str(pid)


@tool
async def fork_and_return() -> str:
    """Forks this process, and the child returns from the tool as its parent does."""
    pid = os.fork()
    return str(pid)


@tool
def exit_program() -> str:
    """Ends a program, as it believes."""
    sys.exit(3)


agent = create_react_agent(
    name="lingering",
    tools=[index, keep_thread, keep_pool, wait_at_exit, fork, fork_and_return, exit_program],
    system_prompt="You linger.",
)
