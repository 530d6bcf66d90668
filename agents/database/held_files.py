"""Whether a file says that a process lives: one that has its lock (`flock`), which the system takes away at its end."""

from __future__ import annotations

import fcntl
from pathlib import Path


def is_held(path: Path) -> bool:
    """Whether a process has locked this file for itself; not so when there is no such file."""
    try:
        with path.open("r") as file:
            # Shared, so that two who ask at the same time do not take each other for the owner.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
