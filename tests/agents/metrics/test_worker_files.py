"""What workers write for each other: no count is lost with a worker, or told twice."""

from __future__ import annotations

import fcntl
import os
import signal
import stat

import pytest

from agents.metrics import worker_files
from agents.metrics.snapshot import Snapshot
from agents.metrics.worker_files import WorkerFiles


@pytest.fixture
def worker(tmp_path):
    """Makes the files of a worker, which are closed at the end."""
    made = []

    def make(number: int) -> WorkerFiles:
        made.append(WorkerFiles(tmp_path, number))
        return made[-1]

    yield make
    for files in made:
        files.close()


def counted(number: float, connections: float = 0) -> Snapshot:
    return Snapshot(counters={"runs_total": {(): number}}, gauges={"open": {(): connections}})


def total(files: WorkerFiles, mine: Snapshot) -> float:
    others = files.exchange(mine)
    return mine.counters["runs_total"][()] + sum(
        other.counters.get("runs_total", {}).get((), 0) for other in (*others.living, *others.dead)
    )


def test_whoever_is_asked_tells_of_all(worker, tmp_path):
    first, second = worker(0), worker(1)
    assert first.open() == second.open() == Snapshot()
    second.write(counted(5, 7))
    others = first.exchange(counted(3))
    assert others.living == [counted(5, 7)] and not others.dead
    assert total(second, counted(6)) == 9
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_the_counts_of_a_killed_worker_stay_and_its_gauges_do_not(worker, tmp_path):
    first = worker(0)
    first.open()
    if (pid := os.fork()) == 0:
        dying = worker(1)
        dying.open()
        dying.write(counted(5, 7))
        (tmp_path / f"{dying._name}.new").write_text("half of")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    others = first.exchange(counted(3))
    assert others.dead == [counted(5, 7)] and not others.living
    assert total(first, counted(3)) == 8
    # The next worker of that number goes on with its counts, and its files are gone.
    again = worker(1)
    inherited = again.open()
    assert inherited.counters == {"runs_total": {(): 5}} and inherited.gauges == {}
    assert total(first, counted(3)) == 8
    assert len(list(tmp_path.glob("metrics-1-*"))) == 2


def test_a_worker_that_still_ends_while_the_next_has_begun(worker):
    old, new = worker(0), worker(0)
    old.open()
    old.write(counted(5))
    assert new.open() == Snapshot(), "its counts are still its own"
    old.write(counted(6))
    old.close()
    assert total(new, counted(1)) == 7


def test_a_frozen_worker_and_a_broken_file_are_noticed(worker, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(worker_files, "LOCK_SECONDS", 0.05)
    files = worker(0)
    files.open()
    with (tmp_path / "metrics.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError):
            files.exchange(counted(1))
    (tmp_path / "metrics-7-x.json").write_text('{"counters":')
    assert total(files, counted(1)) == 1
    assert "metrics-7-x cannot be read" in caplog.text
