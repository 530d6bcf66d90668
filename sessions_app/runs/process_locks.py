"""File locks that show which processes sharing this data folder are alive, since a lock dies with its process.

Process ids would not do: each container has its own, and the system uses them again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from agents.database.held_files import is_held
from agents.database.private_files import make_file, make_folder

logger = logging.getLogger("myagent.runner")


class OwnerLock:
    """The lock of this process as an owner of runs. `name` is the owner's; others see it alive while it is held.

    Owners of one `family` tell each other what they do, and are on one machine with one data folder; `others_alive` is
    about the rest. Unless `sees_all`, owners of other families may be on other machines, and nothing is known of them.
    """

    def __init__(self, data_dir: Path, *, group_access: bool = False, family: str = "", sees_all: bool = True) -> None:
        self._folder = data_dir / "owners"
        self._group_access = group_access
        self._family = f"{family}-" if family else ""
        self._sees_all = sees_all
        self.name = self._family + uuid.uuid4().hex
        self._file: IO[str] | None = None
        self._foreign: set[str] = set()

    def acquire(self) -> None:
        make_folder(self._folder, group_access=self._group_access)
        path = self._path(self.name)
        while self._file is None:
            make_file(path, group_access=self._group_access)
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
        return name == self.name or is_held(self._path(name))

    @property
    def can_tell(self) -> bool:
        """Whether it can know of any other owner that it is dead."""
        return self._sees_all or bool(self._family)

    def find_dead(self, owners: Mapping[str, bool]) -> list[str]:
        """Which of the owners of active runs are dead; of each it is known whether it has a lease.

        One that never had its lock here works with another data folder: only its lease tells. The locks of dead owners
        are kept until others have taken over their runs.
        """
        owners = {name: has_lease for name, has_lease in owners.items() if self._sees(name)}
        foreign = {name for name, has_lease in owners.items() if has_lease and not self._path(name).exists()}
        for name in foreign - self._foreign:
            logger.warning(
                "❌ The process %s works on this database with another data folder than %s. Start all servers of a "
                "database file with one data folder (MYAGENT_DATA_DIR).",
                name,
                self._folder.parent,
            )
        self._foreign = foreign
        for name in self._others():
            if name not in owners and self._sees(name) and not self.is_alive(name):
                self._path(name).unlink(missing_ok=True)
                logger.info("The process %s ended without releasing its lock.", name)
        return [name for name in owners if name not in foreign and not self.is_alive(name)]

    def others_alive(self) -> bool:
        """Whether another process works with this data folder that is not of this one's family."""
        return any(self.is_alive(name) for name in self._others() if not self._is_sibling(name))

    def _is_sibling(self, name: str) -> bool:
        return bool(self._family) and name.startswith(self._family)

    def _sees(self, name: str) -> bool:
        return self._sees_all or self._is_sibling(name)

    def _others(self) -> list[str]:
        return [path.stem for path in self._folder.glob("*.lock") if path.stem != self.name]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether the open file is the one that has this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
