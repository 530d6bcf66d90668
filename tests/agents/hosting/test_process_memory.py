"""The files of the system as they are on different machines."""

import pytest

from agents.hosting.process_memory import ProcessMemory, give_back_memory

MIB = 1024 * 1024
NO_LIMIT_V1 = 9223372036854771712


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Writes the files of a machine; the process takes 100 MiB of it, and 400 more are available."""
    monkeypatch.setattr("os.sysconf", lambda name: {"SC_PAGE_SIZE": 4096}[name])

    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{text}\n")

    write("proc/self/statm", f"999999 {100 * MIB // 4096} 1 1 0 1 0")
    write("proc/meminfo", f"MemTotal:  9999999 kB\nMemAvailable:  {400 * 1024} kB\nHugePages_Total:  0")
    return write


@pytest.fixture
def percent(machine, tmp_path):
    return lambda: ProcessMemory(proc=tmp_path / "proc", cgroups=tmp_path / "sys").percent()


def cgroup(machine, path, *, limit, used, cache=0):
    machine(f"sys/{path}/memory.max", limit)
    machine(f"sys/{path}/memory.current", used)
    machine(f"sys/{path}/memory.stat", f"anon 5\nactive_file {cache}\ninactive_file 0")


def test_without_a_limit_it_is_what_the_machine_has_left(machine, percent):
    assert percent() == pytest.approx(20)
    machine("proc/self/cgroup", "0::/gone.service")
    assert percent() == pytest.approx(20)


def test_the_narrowest_limit_counts_without_what_the_kernel_can_take_back(machine, percent):
    machine("proc/self/cgroup", "0::/system.slice/myagent.service")
    cgroup(machine, "system.slice/myagent.service", limit="max", used=150 * MIB)
    cgroup(machine, "system.slice", limit=200 * MIB, used=150 * MIB, cache=50 * MIB)
    assert percent() == pytest.approx(50)
    # Others in the same cgroup leave less.
    cgroup(machine, "system.slice", limit=200 * MIB, used=190 * MIB)
    assert percent() == pytest.approx(100 / 1.1)
    cgroup(machine, "system.slice", limit=200 * MIB, used=210 * MIB)
    assert percent() == 100


def test_in_a_container_the_limit_is_at_the_root(machine, percent):
    machine("proc/self/cgroup", "12:cpu:/docker/x\n5:memory:/docker/x\n0::/docker/x")
    machine("sys/memory/memory.limit_in_bytes", 125 * MIB)
    machine("sys/memory/memory.usage_in_bytes", 110 * MIB)
    machine("sys/memory/memory.stat", f"total_active_file {4 * MIB}\ntotal_inactive_file {6 * MIB}")
    assert percent() == pytest.approx(80)
    machine("sys/memory/memory.limit_in_bytes", NO_LIMIT_V1)
    assert percent() == pytest.approx(20)


def test_a_system_that_does_not_tell(tmp_path):
    assert ProcessMemory(proc=tmp_path, cgroups=tmp_path).percent() is None


def test_this_machine():
    assert 0 < ProcessMemory().percent() < 100
    give_back_memory()
