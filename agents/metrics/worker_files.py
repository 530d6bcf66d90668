"""What the workers of one supervisor have counted, in files of a folder that they share.

Whichever worker is asked answers for all, so each writes down what it has counted, every second and before it answers.
Only what is written is told: a worker that dies a moment later takes nothing back, and no sum ever gets smaller, which
Prometheus would take for a restart. A file lock shows who is alive. The counts of the dead stay: the next worker with
the same number adds them to its own and removes their file.

Why not `prometheus_client`'s own files: it keeps one of each process that ever lived, and has neither gauges that are
read when they are asked for nor values of the process.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agents.database.held_files import is_held
from agents.database.private_files import make_file
from agents.metrics.snapshot import Snapshot

logger = logging.getLogger("myagent.server")

LOCK_SECONDS = 2.0
"""Others hold the lock for about a millisecond."""
PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Others:
    """What other workers wrote: the `living`, and the counts of the dead."""

    living: list[Snapshot]
    dead: list[Snapshot]


class WorkerFiles:
    """The files of one worker, and how it sees those of the others.

    All of it blocks, and raises `OSError` (of which `TimeoutError` is one) when the folder cannot be used.
    """

    def __init__(self, folder: Path, worker: int) -> None:
        self._folder = folder
        self._prefix = f"metrics-{worker}-"
        self._name = f"{self._prefix}{uuid.uuid4().hex}"
        self._mark: IO[str] | None = None

    def open(self) -> Snapshot:
        """Begin to be alive; returns what dead workers of this number have counted, which is ours from now on.

        Their files are removed when ours has it, within the same lock, so that nobody sees it twice or not at all.
        """
        mark = self._path(self._name, "alive")
        make_file(mark)
        self._mark = mark.open("w")
        fcntl.flock(self._mark, fcntl.LOCK_EX)
        inherited = Snapshot()
        with self._alone():
            files = [path for path in self._folder.glob(f"{self._prefix}*") if not self._is_alive(path.stem)]
            for path in files:
                if path.suffix == ".json" and (left := self._read(path.stem)) is not None:
                    inherited.add_counts(left)
            self._write(inherited)
            for path in files:
                path.unlink()
        return inherited

    def write(self, snapshot: Snapshot) -> None:
        """Replace what this worker has written."""
        with self._alone():
            self._write(snapshot)

    def exchange(self, snapshot: Snapshot) -> Others:
        """Write ours and read all others at one moment."""
        with self._alone():
            self._write(snapshot)
            others = Others([], [])
            for name in self._names():
                if name != self._name and (left := self._read(name)) is not None:
                    (others.living if self._is_alive(name) else others.dead).append(left)
            return others

    def close(self) -> None:
        """Be dead; the counts stay."""
        if self._mark is not None:
            self._mark.close()
            self._mark = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other worker reads or writes here. One that dies in it leaves the lock, one that is frozen does not:
        raises `TimeoutError`.
        """
        lock, until = self._folder / "metrics.lock", time.monotonic() + LOCK_SECONDS
        make_file(lock)
        with lock.open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise TimeoutError(f"{lock} is held by another worker") from None
                time.sleep(PAUSE_SECONDS)
            yield

    def _names(self) -> list[str]:
        return [path.stem for path in self._folder.glob("metrics-*.json")]

    def _is_alive(self, name: str) -> bool:
        return is_held(self._path(name, "alive"))

    def _read(self, name: str) -> Snapshot | None:
        try:
            return Snapshot.decode(self._path(name, "json").read_bytes())
        except (OSError, ValueError) as error:
            logger.warning("The counts of the worker %s cannot be read: %s", name, error)
            return None

    def _write(self, snapshot: Snapshot) -> None:
        # Replaced at once: a worker that is killed in the middle must not leave half of it.
        path = self._path(self._name, "json")
        make_file(new := path.with_suffix(".new"))
        new.write_bytes(snapshot.encode())
        os.replace(new, path)

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"
