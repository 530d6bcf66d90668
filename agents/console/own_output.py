"""The standard output of a command, kept apart from what the code that it runs prints."""

from __future__ import annotations

import os
import sys
from typing import IO

from django.core.management.base import OutputWrapper

STDOUT, STDERR = 1, 2


def keep_output(given: IO[str] | OutputWrapper, *, alone: bool) -> IO[str] | OutputWrapper:
    """A stream to where `given` writes, for the case that the code closes that.

    With `alone`, whatever else is printed goes to standard error from now on, until the process ends and by child
    processes, too: programs read the output of this one. A stream that is no standard output is returned as it is.
    """
    if not _is_standard(given):
        return given
    sys.stdout.flush()
    own = os.fdopen(os.dup(STDOUT), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
    if alone:
        os.dup2(STDERR, STDOUT)
    return own


def _is_standard(given: IO[str] | OutputWrapper) -> bool:
    try:
        return given.fileno() == STDOUT
    except (AttributeError, OSError, ValueError):
        return False
