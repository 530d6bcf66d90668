"""How much memory this process takes, of what it can have: its cgroup's limit, or what the machine has left.

Linux only: it is read from /proc and the cgroup's files (version 2, or 1).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agents.supervisor.control_groups import CGROUPS, PROC, control_groups


@dataclass(frozen=True, slots=True)
class _Version:
    """What the files of a cgroup are called, and their lines in `memory.stat` for what the kernel can take back."""

    limit: str
    used: str
    caches: tuple[str, ...]


_V1 = _Version("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file"))
_V2 = _Version("memory.max", "memory.current", ("active_file", "inactive_file"))


class ProcessMemory:
    """Reads it; a few files each time."""

    def __init__(self, *, proc: Path = PROC, cgroups: Path = CGROUPS) -> None:
        self._proc = proc
        self._page_size = os.sysconf("SC_PAGE_SIZE")
        self._folders = [
            (group.folder, version)
            for group in control_groups("memory", proc=proc, cgroups=cgroups)
            if (group.folder / (version := _V1 if group.is_v1 else _V2).limit).is_file()
            and (group.folder / version.used).is_file()
        ]

    def percent(self) -> float | None:
        """What the process takes, of that and what it could still get; None where the system does not tell.

        Alone in its cgroup, it is the share of the limit. What other processes take leaves less to get.
        """
        try:
            taken = int((self._proc / "self/statm").read_text().split()[1]) * self._page_size
            left = min([self._left_on_machine(), *self._left_in_cgroups()])
        except (OSError, ValueError, LookupError):
            return None
        return 100 * taken / (taken + max(left, 0))

    def _left_on_machine(self) -> int:
        return _numbers(self._proc / "meminfo", ("MemAvailable",))["MemAvailable"] * 1024

    def _left_in_cgroups(self) -> Iterator[int]:
        for folder, version in self._folders:
            limit = (folder / version.limit).read_text().strip()
            if limit != "max":
                caches = _numbers(folder / "memory.stat", version.caches)
                used = int((folder / version.used).read_text())
                yield int(limit) - used + sum(caches.values())


def give_back_memory() -> None:
    """Let the allocator return to the system what it holds and nothing uses. Blocks for a moment; glibc only."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _numbers(path: Path, names: tuple[str, ...]) -> dict[str, int]:
    """The numbers of these lines of a file with a name and a number in each of its many lines."""
    pairs = (line.replace(":", " ").split()[:2] for line in path.read_text().splitlines() if line.startswith(names))
    return {name: int(number) for name, number in pairs if name in names}
