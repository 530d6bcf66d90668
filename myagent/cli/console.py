"""Streams that can print whatever a sentence holds."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def set_up_console() -> None:
    """To be called by a program of ours before it does anything else.

    A console that cannot show a character is given a question mark instead of a traceback, and a stream that was
    closed when the program was started reads and writes nothing.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _open_closed_streams() -> None:
    # Python has None for them, and the system gives their numbers to whatever is opened next, such as a socket.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - to the end
