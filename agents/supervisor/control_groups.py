"""The control groups (cgroups) that limit this process, in version 2 and 1. Linux only: elsewhere there are none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


class ControlGroup(NamedTuple):
    """The folder of one; its files have other names in the first version."""

    folder: Path
    is_v1: bool


def control_groups(controller: str, *, proc: Path = PROC, cgroups: Path = CGROUPS) -> Iterator[ControlGroup]:
    """The process's own group for this controller, then those above it: each of them may have a limit."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        is_v1 = bool(controllers)
        root = cgroups / controller if is_v1 else cgroups
        below = PurePosixPath(path.lstrip("/"))
        # In a container the path may be that of the machine, and only the root is to be seen.
        for part in (below, *below.parents) if below.parts else (below,):
            if (root / part).is_dir():
                yield ControlGroup(root / part, is_v1)
