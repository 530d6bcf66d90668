"""The end of the process, which nothing that agents left running may hold up.

Python waits at exit for threads that are no daemons (those of a ThreadPoolExecutor, too), for functions of `atexit`,
and for children of `multiprocessing`.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from agents.authors_code import authors_place, is_authors
from agents.caretaker import caretaker

logger = logging.getLogger("myagent.server")

END_SECONDS = 5.0
"""How long the process may take to end once the server has stopped."""
DEAF_SECONDS = 2.0
"""How much longer it may take if not even a thread of ours gets a turn."""


@contextmanager
def prompt_end() -> Iterator[None]:
    """Run a command in it as the last thing of a process, which ends soon afterwards whatever still runs."""
    code = 1
    try:
        yield
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        raise
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(signum, signal.SIG_DFL)
        end_children()
        threading.Thread(target=_end_late, args=(code,), name="end of the process", daemon=True).start()
        signal.setitimer(signal.ITIMER_REAL, END_SECONDS + DEAF_SECONDS)


def end_children() -> None:
    """Ask the child processes of `multiprocessing` to end: they belong to the server that started them."""
    for child in caretaker.children():
        logger.warning("Ending the child process %s.", caretaker.describe(child))
        child.terminate()


def _end_late(code: int) -> NoReturn:
    time.sleep(END_SECONDS)
    try:
        logger.error(
            "The process is ended now, since it does not end by itself. It waits for: %s", "; ".join(_held_by())
        )
        for child in caretaker.children():
            child.kill()
        for stream in (caretaker.stderr, sys.stdout):
            with suppress(OSError, ValueError, AttributeError):  # a full disk, a stream that is closed or None
                stream.flush()
    finally:
        os._exit(code)


def _held_by() -> Iterator[str]:
    main = threading.main_thread()
    frames = sys._current_frames()
    # Those of executors are waited for even if they are daemons.
    pools = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", ())
    threads = [each for each in threading.enumerate() if each is not main and (each in pools or not each.daemon)]
    for thread in threads:
        yield f"the thread {caretaker.describe(thread)} at {authors_place(frames.get(thread.ident or 0))}"
    for child in caretaker.children():
        yield f"the child process {caretaker.describe(child)}"
    place = authors_place(frames.get(main.ident or 0))
    if is_authors(place) or not threads:
        yield f"the main thread at {place}"
