"""File locks that show which processes sharing this data folder are alive, since a lock dies with its process.

Process ids would not do: each container has its own, and the system uses them again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import uuid
from pathlib import Path
from typing import IO

logger = logging.getLogger("myagent.runner")


class OwnerLock:
    """The lock of this process as an owner of runs. `name` is the owner's; others see it alive while it is held."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "owners"
        self.name = uuid.uuid4().hex
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._path(self.name)
        while self._file is None:
            file = path.open("w")
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(file, path):
                # Kept open as long as the process lives: closing the file would release the lock.
                self._file = file
            else:
                file.close()  # another process saw the file before it was locked, and removed it as a dead owner's

    def release(self) -> None:
        if self._file is not None:
            self._path(self.name).unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def is_alive(self, name: str) -> bool:
        """Whether the owner of that name runs on this machine with this data folder."""
        if name == self.name:
            return True
        try:
            with self._path(name).open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        self._path(name).unlink(missing_ok=True)
        logger.info("The process %s ended without releasing its lock.", name)
        return False

    def others_alive(self) -> bool:
        """Whether another process works with this data folder."""
        return any(self.is_alive(path.stem) for path in self._folder.glob("*.lock") if path.stem != self.name)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether the open file is the one that has this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
