"""A terminal for tests: a program on a pseudo-terminal, and the screen as a person would see it.

with Terminal([...], columns=80, rows=24) as terminal:
    terminal.wait("❯")
    terminal.type("hello\r")
    assert "hello" in terminal.text
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import pyte

from tests.support import forked
from tests.support.patience import WAIT_SECONDS

CTRL_C, CTRL_D, ENTER, ALT_ENTER, LEFT, UP, BACKSPACE = "\x03", "\x04", "\r", "\x1b\r", "\x1b[D", "\x1b[A", "\x7f"

# A session leader that takes the pseudo-terminal as its own, so that Ctrl-C on it is a signal. A fork does so itself.
_LAUNCH = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class _Screen(pyte.HistoryScreen):
    """Shows what is dim in grey: pyte does not know dim."""

    def select_graphic_rendition(self, *attributes: int, **options: bool) -> None:
        super().select_graphic_rendition(*(90 if code == 2 else code for code in attributes), **options)


class Terminal:
    """A context manager; the program is ended with it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        self._screen = _Screen(columns, rows, history=5_000, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = threading.Condition()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**environment, "TERM": "xterm-256color"}
        self._process = forked.Popen(
            command if forked.can_fork(command, environment) else [sys.executable, "-ISc", _LAUNCH, *command],
            cwd=folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    # --- what a person sees ---

    @property
    def screen(self) -> pyte.HistoryScreen:
        """The emulator's screen, to be looked at while nothing changes."""
        return self._screen

    @property
    def text(self) -> str:
        """Everything, also what has left the screen at its top."""
        with self._changed:
            above = [
                "".join(line[column].data for column in range(self._screen.columns))
                for line in self._screen.history.top
            ]
            lines = [line.rstrip() for line in [*above, *self._screen.display]]
        return "\n".join(lines).rstrip()

    @property
    def prompt(self) -> str:
        """The line where the cursor is."""
        with self._changed:
            return self._screen.display[self._screen.cursor.y].rstrip()

    def wait(self, wanted: str | Callable[[str], bool]) -> str:
        """Wait until the text holds these words, or is as wanted; returns it."""
        fits = wanted if callable(wanted) else lambda text: wanted in text
        with self._changed:
            came = self._changed.wait_for(lambda: fits(self.text) or self._ended, WAIT_SECONDS) and fits(self.text)
        assert came, f"never showed {wanted!r}:\n{self.text}"
        return self.text

    def wait_prompt(self, typed: str = "") -> str:
        """Wait until something can be typed, behind what is `typed` already; returns the text."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.prompt == f"❯ {typed}".rstrip() or self._ended, WAIT_SECONDS)
        assert came and not self._ended, f"no prompt:\n{self.text}"
        return self.text

    # --- what a person does ---

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def say(self, text: str) -> None:
        """Wait for the prompt, type a line and send it."""
        self.wait_prompt()
        self.type(text)
        self.type(ENTER)

    def wait_exit(self) -> int:
        """Wait for the end of the program; returns its exit code."""
        code = self._process.wait(WAIT_SECONDS)
        self._reader.join(WAIT_SECONDS)
        return code

    # --- the machinery ---

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux' way to say that nobody has the other end open
                data = b""
            with self._changed:
                if data:
                    self._stream.feed(data)
                self._ended = not data
                self._changed.notify_all()
            if not data:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(WAIT_SECONDS)
        self._reader.join(WAIT_SECONDS)
        os.close(self._master)
