"""A server as a process: started, stopped, killed, and what it says meanwhile."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from myagent.exceptions import MyAgentError

START_SECONDS = 120.0
STOP_SECONDS = 30.0
_ADDRESS = re.compile(r"\bws://\S+?:(\d+)/")


class ServerFailed(MyAgentError):
    """The server did not start, or does not stop; `log` is what it said."""

    code = "server_failed"

    def __init__(self, problem: str, log: str) -> None:
        self.log = log
        super().__init__(f"{problem} It said:\n{log or '(nothing)'}")


class _Output:
    """What comes through a pipe: taken as it comes, and whenever somebody asks, so that nothing is missing then."""

    def __init__(self, stream: IO[str], changed: threading.Condition, taken: bytearray) -> None:
        self.is_over = False
        self._stream = stream
        self._changed = changed
        self._taken = taken
        os.set_blocking(stream.fileno(), False)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def take(self) -> None:
        """Take everything that was written until now."""
        with self._changed:
            while not self.is_over:
                try:
                    piece = os.read(self._stream.fileno(), 65536)
                except BlockingIOError:
                    return
                self._taken += piece
                self.is_over = not piece
                self._changed.notify_all()

    def wait_end(self, seconds: float) -> None:
        """Wait until nobody can write any more."""
        self._reader.join(seconds)

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._stream, select.POLLIN)
        while not self.is_over:
            poll.poll()
            self.take()
        self._stream.close()


class ServerProcess:
    """A server that prints its address once it listens. `command` makes the command line for a port (0: any free one).

    It keeps its port over restarts.
    """

    _popen: type[subprocess.Popen[str]] = subprocess.Popen

    def __init__(
        self, command: Callable[[int], Sequence[str]], *, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.port = 0
        self._command = command
        self.folder = folder
        self._environment = dict(environment)
        self._process: subprocess.Popen[str] | None = None
        self._changed = threading.Condition()
        self._said = bytearray()
        self._log = bytearray()
        self._outputs: list[_Output] = []

    # --- starting and stopping ---

    def start(self) -> None:
        """Start the process, on the port that it had before if there was one; returns when it listens.

        Raises `ServerFailed`.
        """
        self._said = bytearray()
        self._process = self._popen(
            self._command(self.port),
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self._outputs = [
            _Output(self._process.stdout, self._changed, self._said),
            _Output(self._process.stderr, self._changed, self._log),
        ]
        if not self._listens() or self.has_ended:
            self.kill()
            raise ServerFailed("The server did not start.", self.said + self.log)

    def _listens(self) -> bool:
        """Wait until the process says that it listens; whether it did."""
        with self._changed:
            self._changed.wait_for(lambda: _ADDRESS.search(self.said) or self._is_silent, START_SECONDS)
        found = _ADDRESS.search(self.said)
        if found is not None:
            self.port = int(found[1])
        return found is not None

    def terminate(self) -> None:
        """Ask the process to stop in order (SIGTERM); see `wait_exit`."""
        self._running.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a power cut would, and wait until it is gone."""
        self._running.kill()
        self.wait_exit()

    def wait_exit(self) -> int:
        """Wait for the end of the process and of its output; returns the exit code. Raises `ServerFailed`."""
        try:
            code = self._running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"The server did not stop within {STOP_SECONDS:g} s.", self.log) from None
        for output in self._outputs:
            output.wait_end(STOP_SECONDS)
        return code

    def stop(self) -> None:
        """Stop in order, or by force when that takes too long; nothing happens when it does not run."""
        if self._process is None or self.has_ended:
            return
        self.terminate()
        try:
            self.wait_exit()
        except ServerFailed:
            self.kill()
            raise

    def restart(self) -> None:
        """Stop in order and start again, on the same port and with the same data."""
        self.terminate()
        code = self.wait_exit()
        if code:
            raise ServerFailed(f"The server ended with exit code {code}.", self.log)
        self.start()

    # --- what it says ---

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def said(self) -> str:
        """What the process that runs wrote to its standard output until now."""
        return self._text(self._said)

    @property
    def log(self) -> str:
        """What all processes of this server wrote to their standard error until now."""
        return self._text(self._log)

    @property
    def has_ended(self) -> bool:
        """Whether the process is over."""
        return self._running.poll() is not None

    @property
    def _is_silent(self) -> bool:
        """Whether no word will come any more."""
        return all(output.is_over for output in self._outputs)

    @property
    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "not started"
        return self._process

    def _text(self, taken: bytearray) -> str:
        for output in self._outputs:
            output.take()
        lines = taken if self._is_silent else taken[: taken.rfind(b"\n") + 1]
        return lines.decode(errors="replace")
