"""Handlers of signals: the first SIGINT, SIGTERM or SIGHUP stops the server gracefully, the second ends the process."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TextIO


def ignore_user_signals() -> None:
    """Let SIGUSR1 and SIGUSR2, which would end the process, do nothing, unless somebody handles them.

    By a handler, which child processes do not inherit.
    """
    for signum in (signal.SIGUSR1, signal.SIGUSR2):
        if signal.getsignal(signum) is signal.SIG_DFL:
            signal.signal(signum, _do_nothing)


def _do_nothing(signum: int, frame: FrameType | None) -> None:
    """Handle a signal that means nothing here."""


class StopSignals:
    """While entered, the first SIGINT, SIGTERM or SIGHUP calls `stop`; the next SIGINT or SIGTERM ends the process.

    A second SIGHUP does not: a terminal that is closed may send two. One that is ignored already (`nohup`) stays so.

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
        ignore_user_signals()
        # The code of agents may have blocked them.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        stopping = {signal.SIGINT, signal.SIGTERM}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            stopping.add(signal.SIGHUP)
        for signum in stopping:
            self._previous_handlers[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for signum, handler in self._previous_handlers.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self._was_signalled and signum == signal.SIGHUP:
            return
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
