from __future__ import annotations

import os

import pytest

from agents.supervisor import cores
from agents.supervisor.cores import usable_cores


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("", {}, 8),
        ("0::/", {"cpu.max": "max 100000\n"}, 8),
        ("0::/", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/", {"cpu.max": "1000 100000\n"}, 1),
        ("0::/", {"cpu.max": "6400000 100000\n"}, 8),
        ("0::/", {"cpu.max": "something else"}, 8),
        # Each group above it may have a limit, too.
        ("0::/app/web", {"app/web/cpu.max": "max 100000\n", "app/cpu.max": "300000 100000\n"}, 3),
        ("0::/app/web", {"app/web/cpu.max": "200000 100000\n", "app/cpu.max": "300000 100000\n"}, 2),
        # In a container, whose root is the machine's folder of that name.
        ("0::/docker/x", {"cpu.max": "150000 100000\n"}, 2),
        ("4:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ("4:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ("5:memory:/", {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
    ],
)
def test_no_more_than_the_system_allows(group, files, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    for name, content in {"proc/self/cgroup": group, **{f"sys/{name}": text for name, text in files.items()}}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert usable_cores(proc=tmp_path / "proc", cgroups=tmp_path / "sys") == expected


def test_here():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
