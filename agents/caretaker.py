"""Looks after what belongs to the server and not to the agents in it: its log, its standard streams, its folder.

The code of agents shares the process, and much that is meant for a program of one's own changes it for all:
`logging.config`, `logging.disable`, `sys.stderr.close()`, `os.chdir`. It is put back, with a line that names who did
it. Of threads and child processes it is remembered who started them.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from agents.kept_logger import KeptLogger

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

logger = logging.getLogger("myagent.server")

OURS = ("myagent", "django", "channels", "channels_redis", "daphne", "twisted", "asyncio", "concurrent")
"""Loggers, with those below them, that speak for the server; and the root."""


@dataclass(slots=True)
class _Stream:
    """Standard output or error, and a copy of it that only the server knows."""

    name: str
    number: int
    copy: int
    text: TextIO


class Caretaker:
    """Does nothing until `begin`. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._streams: list[_Stream] = []
        self._loggers: dict[str, KeptLogger] = {}
        self._number = 0
        self._folder: str | None = None
        self._running: Counter[str] = Counter()
        self._suspects: set[str] = set()
        self._owners: weakref.WeakKeyDictionary[threading.Thread | BaseProcess, str] = weakref.WeakKeyDictionary()

    def begin(self) -> None:
        """Remember everything as it is now; the log gets a standard error of its own. May be called again."""
        if not self._streams:
            self._streams = [_copied(name, number) for number, name in ((1, "stdout"), (2, "stderr"))]
        with suppress(OSError):
            self._folder = os.getcwd()
        self._loggers = {name: KeptLogger(found) for name, found in _our_loggers()}
        for kept in self._loggers.values():
            kept.write_to(self.stderr, instead_of=sys.stderr)

    @property
    def stderr(self) -> TextIO:
        """The standard error that nobody else can close."""
        return self._streams[1].text if self._streams else sys.stderr

    @contextmanager
    def watching(self, who: str) -> Iterator[None]:
        """Look at the end whether everything is as it was, and blame `who`: an agent file, or a tool that runs."""
        with self._lock:
            self._running[who] += 1
            self._suspects.add(who)
        try:
            yield
        finally:
            with self._lock:
                self._running[who] -= 1
                self._running += Counter()  # without those that are 0
                self.look()

    def look(self) -> None:
        """Put back what was changed, and say so."""
        with self._lock:
            if not self._streams:
                return
            changed = [*self._mend_streams(), *self._mend_log(), *self._mend_folder()]
            who = " or ".join(sorted(self._suspects)) or "Something that an agent left running"
            self._suspects = set(self._running)
            started: list[threading.Thread | BaseProcess] = [*threading.enumerate(), *self.children()]
            for each in started:
                self._owners.setdefault(each, who)
        if changed:
            logger.warning(
                "%s changed what belongs to the server (%s). It was put back. Code in a server must not configure the "
                "log, close standard streams or change the folder of the whole process.",
                *(who, ", ".join(changed)),
            )

    def children(self) -> list[BaseProcess]:
        """The child processes of `multiprocessing`."""
        module = sys.modules.get("multiprocessing.process")
        return module.active_children() if module is not None else []

    def describe(self, started: threading.Thread | BaseProcess) -> str:
        """The name of a thread or child process, and who started it if that is known."""
        owner = self._owners.get(started)
        return f"{started.name} ({owner[:1].lower()}{owner[1:]})" if owner else started.name

    def _mend_log(self) -> Iterator[str]:
        if logging.root.manager.disable:
            logging.disable(logging.NOTSET)
            yield "logging.disable"
        if len(logging.root.manager.loggerDict) != self._number:  # some were made meanwhile
            self._number = len(logging.root.manager.loggerDict)
            for name, found in _our_loggers():
                self._loggers.setdefault(name, KeptLogger(found, is_new=True))
        changed: defaultdict[str, list[str]] = defaultdict(list)
        for name, kept in self._loggers.items():
            for what in kept.mend():
                changed[what].append(name)
        for what, names in changed.items():
            yield f"{what} of the logger {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")

    def _mend_streams(self) -> Iterator[str]:
        for stream in self._streams:
            if stream.text.closed:
                stream.text = _opened(stream.copy)
                for kept in self._loggers.values():
                    kept.write_to(stream.text, instead_of=None)
                yield "the stream of the log"
            if not _is_open(stream.number):
                os.dup2(stream.copy, stream.number)
                yield f"file {stream.number}"
            current = getattr(sys, stream.name)
            # One that is open may be redirected for a moment, which is no harm.
            if current is None or current.closed:
                setattr(sys, stream.name, stream.text)
                yield f"sys.{stream.name}"

    def _mend_folder(self) -> Iterator[str]:
        if self._running or self._folder is None:
            return  # a tool may go to a folder and come back
        with suppress(OSError):
            if os.getcwd() == self._folder:
                return
        with suppress(OSError):  # it may be gone
            os.chdir(self._folder)
            yield "the working folder"


caretaker = Caretaker()


def _our_loggers() -> list[tuple[str, logging.Logger]]:
    """The root, and then the others, those above before those below."""
    known = sorted(logging.root.manager.loggerDict.items())
    ours = [(name, found) for name, found in known if name.partition(".")[0] in OURS]
    return [("root", logging.root), *((name, found) for name, found in ours if isinstance(found, logging.Logger))]


def _copied(name: str, number: int) -> _Stream:
    copy = os.dup(number) if _is_open(number) else os.open(os.devnull, os.O_WRONLY)
    return _Stream(name, number, copy, _opened(copy, like=getattr(sys, name)))


def _opened(number: int, *, like: Any = None) -> TextIO:
    encoding = getattr(like, "encoding", None) or "utf-8"
    return open(number, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
