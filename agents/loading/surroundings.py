"""What the code of an agent file finds around it while it is loaded, and not as the server has it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

STDIN = 0


@contextmanager
def surroundings(source: str) -> Iterator[None]:
    """Within the block the command line is that of a program `source` without arguments.

    Nothing is to be read on standard input, at which the code would wait for ever, unless that is a terminal.
    """
    with ExitStack() as stack:
        given, sys.argv = sys.argv, [source]
        stack.callback(setattr, sys, "argv", given)
        if not os.isatty(STDIN):
            _empty(STDIN, stack)
        yield


def _empty(number: int, stack: ExitStack) -> None:
    """Let a descriptor read nothing; `stack` gives back what it read from."""
    try:
        before = os.dup(number)
    except OSError:
        return  # it is closed
    stack.callback(os.close, before)
    stack.callback(os.dup2, before, number)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, number)
    os.close(nothing)
