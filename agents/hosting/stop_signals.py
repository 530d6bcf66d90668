"""Handlers of SIGINT and SIGTERM: the first signal stops the server gracefully, the second ends the process."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TextIO


class StopSignals:
    """While entered, the first SIGINT or SIGTERM calls `stop`; the next one ends the process at once.

    `stop` is called in the main thread between any two instructions, so it has to be thread-safe.
    The exit code of the second signal is 130 for SIGINT and 143 for SIGTERM; logs and `streams` are flushed before.
    Python's handlers are used and not the event loop's, because the second signal must work while the loop is blocked.
    """

    def __init__(self, stop: Callable[[], None], *streams: TextIO) -> None:
        self._stop = stop
        self._streams = (*streams, sys.stdout, sys.stderr)
        self._was_signalled = False
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for signum in (signal.SIGINT, signal.SIGTERM):
            self._previous_handlers[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for signum, handler in self._previous_handlers.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self._was_signalled:
            self._exit(signum)
        self._was_signalled = True
        self._stop()

    def _exit(self, signum: int) -> NoReturn:
        try:
            logging.shutdown()
            for stream in self._streams:
                stream.flush()
        finally:
            os._exit(128 + signum)
