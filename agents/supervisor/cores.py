"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agents.supervisor.control_groups import CGROUPS, PROC, ControlGroup, control_groups


def usable_cores(*, proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """The cores that the system lets this process use, and no more than a container's share of time; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    groups = control_groups("cpu", proc=proc, cgroups=cgroups)
    return max(1, min([allowed, *(math.ceil(quota) for group in groups for quota in _quota(group))]))


def _quota(group: ControlGroup) -> Iterator[float]:
    """The limit that a control group sets, in cores; none without one."""
    with suppress(OSError, ValueError):
        if group.is_v1:
            quota, period = ((group.folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        else:
            quota, period = (group.folder / "cpu.max").read_text().split()
        if quota != "max" and int(quota) > 0:
            yield int(quota) / int(period)
