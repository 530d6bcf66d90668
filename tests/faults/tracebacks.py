"""Tracebacks in what a server logged: whatever is done to it, it knows what to say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TRACEBACK = re.compile(r"^(.*)\nTraceback .*\n(?:[ ].*\n)+(\S.*)", re.MULTILINE)


def tracebacks(log: str) -> Iterator[str]:
    """Each of them in words."""
    for before, error in _TRACEBACK.findall(log):
        yield f"a server logged a traceback: {error[:200]} ({before[:200]})"
