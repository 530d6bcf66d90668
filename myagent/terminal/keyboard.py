"""The keyboard while nobody is asked: what is typed is not shown, and kept for the next prompt."""

from __future__ import annotations

import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def quiet(stream: TextIO | None = None) -> Iterator[None]:
    """Keep what is typed from the screen; Ctrl-C still interrupts. Does nothing where there is no terminal."""
    stream = stream or sys.stdin
    if not stream.isatty():
        yield
        return
    before = termios.tcgetattr(stream)
    now = termios.tcgetattr(stream)
    # Keys one by one and as they are: Enter stays Enter for the prompt that reads it later.
    now[0] &= ~termios.ICRNL
    now[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(stream, termios.TCSADRAIN, now)
    try:
        yield
    finally:
        termios.tcsetattr(stream, termios.TCSADRAIN, before)


def discard_typed(stream: TextIO | None = None) -> None:
    """Forget what was typed and nobody has read yet."""
    stream = stream or sys.stdin
    if stream.isatty():
        termios.tcflush(stream, termios.TCIFLUSH)
