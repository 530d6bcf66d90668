"""A look at the code of an agent file that is not loaded after a while: where it is, and whether that will ever end."""

from __future__ import annotations

import asyncio
import inspect
import linecache
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from itertools import pairwise
from types import FrameType, TracebackType
from typing import Any, Self

logger = logging.getLogger("myagent.agents")

LOOK_SECONDS = 5.0
_SERVING = frozenset({"serve_forever", "run_app", "run_polling", "infinity_polling", "wait_for_termination"})
"""Functions that end with the program only."""
_SERVERS = frozenset({"granian", "gunicorn", "hypercorn", "uvicorn", "waitress", "werkzeug"})
"""Packages that serve other programs."""


class LoadingWatch:
    """Looks once, after some seconds in the `with` block, at the thread that entered it.

    Says in the log where in the module `name` it is. Code that serves something is interrupted, as Ctrl-C would, where
    that is the main thread; `serving` is then the line that called it.
    """

    def __init__(self, source: str, name: str) -> None:
        self.serving: str | None = None
        self.line: int | None = None
        self._source = source
        self._name = name
        self._thread = threading.get_ident()
        self._left = threading.Lock()
        self._has_left = False
        self._timer = threading.Timer(LOOK_SECONDS, self._look)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._timer.cancel()
        with self._left:
            self._has_left = True

    def _look(self) -> None:
        with self._left:
            frame = sys._current_frames().get(self._thread)
            if self._has_left or frame is None:
                return
            outwards = [item for item, _line in traceback.walk_stack(frame)]
            own = [at for at, item in enumerate(outwards) if item.f_globals.get("__name__") == self._name]
            if not own:
                return
            outermost = outwards[own[-1]]
            self.line = outermost.f_lineno
            text = linecache.getline(outermost.f_code.co_filename, self.line).strip()
            self._tell(text)
            called = pairwise(outwards[: own[-1] + 1])
            if threading.main_thread().ident == self._thread and any(_serves(*pair) for pair in called):
                self.serving = text
                signal.pthread_kill(self._thread, signal.SIGINT)

    def _tell(self, text: str) -> None:
        logger.warning(
            "%s is still being loaded after %g s, in line %d: %s. Nothing is served before its top level ends; what "
            "uses the agent or serves something belongs under if __name__ == '__main__':",
            self._source,
            LOOK_SECONDS,
            self.line,
            text,
        )


def _serves(frame: FrameType, caller: FrameType) -> bool:
    """Whether the function that runs in `frame` serves something and does not end."""
    function = frame.f_code.co_name
    if function == "run_until_complete":
        return not _SERVING.isdisjoint(_awaited(frame.f_locals.get("future")))
    # The function above calls the last one, too, for as long as a coroutine takes.
    is_endless = function == "run_forever" and caller.f_code.co_name != "run_until_complete"
    return is_endless or function in _SERVING or str(frame.f_globals.get("__name__")).partition(".")[0] in _SERVERS


def _awaited(task: Any) -> Iterator[str]:
    """The coroutines that a task is in, from the outermost."""
    coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
    while inspect.iscoroutine(coroutine):
        yield coroutine.__name__
        coroutine = coroutine.cr_await
