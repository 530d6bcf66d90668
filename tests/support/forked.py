"""Our programs as processes that are forked from a `zygote` instead of started: `Popen` and `run`, as in `subprocess`.

What a fork cannot do is started with exec: other programs, `python -c`, other settings of the interpreter or the
locale. MYAGENT_TEST_EXEC=1 starts everything so.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import json
import locale
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

from tests.support.zygote import SIZE

_ZYGOTE = Path(__file__).with_name("zygote.py")
_MODULES = ("myagent.", "tests.")
_PR_SET_CHILD_SUBREAPER = 36
_END_SECONDS = 10
LONGEST_LINE = 4 * 1024 * 1024


class Popen(subprocess.Popen[Any]):
    """A `subprocess.Popen` that forks what can be forked: a true child, whose exit code and signals are real."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, *rest: Any) -> None:
        """Called once the streams are made, to start the process; `rest` is as in Python 3.11 to 3.14."""
        pass_fds, cwd, env, _startup_info, _flags, shell, *pipes = rest[:12]
        restore_signals, gid, gids, uid, umask, new_session, process_group = rest[12:]
        unusual = (
            preexec_fn or shell or pass_fds or (gid, gids, uid, umask, process_group) != (None, None, None, -1, -1)
        )
        environment = dict(os.environ if env is None else env)
        if unusual or executable or not close_fds or not restore_signals or not can_fork(args, environment):
            super()._execute_child(args, executable, preexec_fn, close_fds, *rest)  # type: ignore[misc]
            return
        child_ends = pipes[0], pipes[3], pipes[5]
        ignores_interrupt = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        folder = None if cwd is None else os.fspath(cwd)
        request = [list(map(os.fspath, args)), folder, environment, new_session, ignores_interrupt]
        self.pid = _zygote().fork(request, [own if end == -1 else end for own, end in enumerate(child_ends)])
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def run(
    command: Any, *, input: Any = None, timeout: float | None = None, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """As `subprocess.run`."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if options.pop("capture_output", False):
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **options) as process:
        try:
            output, errors = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


class AsyncProcess:
    """A process whose output is read by coroutines, as of `asyncio.create_subprocess_exec`."""

    def __init__(self, command: list[str]) -> None:
        self.stdout, self.stderr = asyncio.StreamReader(LONGEST_LINE), asyncio.StreamReader(LONGEST_LINE)
        self._popen = Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.terminate, self.kill, self.send_signal = self._popen.terminate, self._popen.kill, self._popen.send_signal

    @classmethod
    async def start(cls, *command: str) -> Self:
        """Start the process and read from it."""
        process = cls(list(command))
        loop = asyncio.get_running_loop()
        for reader, pipe in ((process.stdout, process._popen.stdout), (process.stderr, process._popen.stderr)):
            await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, reader), pipe)
        return process

    @property
    def returncode(self) -> int | None:
        """The exit code, once the process has ended."""
        return self._popen.poll()

    async def wait(self) -> int:
        """Wait for the end; returns the exit code."""
        return await asyncio.to_thread(self._popen.wait)


class _Zygote:
    """The process that forks for this one, and ends with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prctl = ctypes.CDLL(None).prctl
        self._socket, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            command = [sys.executable, str(_ZYGOTE), str(number)]
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[number]
            )
        atexit.register(self._end)

    def fork(self, request: list[Any], streams: list[int]) -> int:
        """Start what `zygote.Request` describes; returns the id of a child of this process."""
        message = json.dumps(request).encode()
        with self._lock:
            # Only meanwhile: other orphans belong to the system.
            self._prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._socket, [SIZE.pack(len(message))], streams)
                self._socket.sendall(message)
                answer = self._socket.recv(SIZE.size)
            finally:
                self._prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        assert answer, "the zygote has ended"
        return int(SIZE.unpack(answer)[0])

    def _end(self) -> None:
        self._socket.close()
        self._process.wait(_END_SECONDS)


_zygote = cache(_Zygote)


def can_fork(command: Any, environment: Mapping[str, str]) -> bool:
    """Whether a fork comes out as the start of this command would."""
    if sys.platform != "linux" or os.environ.get("MYAGENT_TEST_EXEC") == "1" or isinstance(command, str | bytes):
        return False
    words = list(map(os.fspath, command))
    ours = (
        words[1].endswith(".py")
        if len(words) == 2
        else len(words) > 2 and (words[1].endswith(".py") or (words[1] == "-m" and words[2].startswith(_MODULES)))
    )
    return words[0] == sys.executable and ours and _interpreter(environment) == _interpreter(os.environ)


def _interpreter(environment: Mapping[str, str]) -> dict[str, str]:
    """What the interpreter reads when it starts, but for what a zygote does itself and what changes nothing."""
    own = {"PYTHONPATH", "PYTHONUNBUFFERED"}
    if environment.get("PYTHONIOENCODING", "").upper() == locale.getpreferredencoding(False).upper():
        own.add("PYTHONIOENCODING")
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(("PYTHON", "LC_", "LANG")) and name not in own
    }
