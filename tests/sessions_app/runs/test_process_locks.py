"""File locks that tell which processes are alive."""

import fcntl
import subprocess
import sys

import pytest

from sessions_app.runs.process_locks import OwnerLock

HOLDER = """
import sys
from pathlib import Path
from sessions_app.runs.process_locks import OwnerLock
owner = OwnerLock(Path(sys.argv[1]), family=sys.argv[2])
owner.acquire()
print(owner.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path):
    owner = OwnerLock(tmp_path)
    owner.acquire()
    yield owner
    owner.release()


@pytest.fixture
def other(tmp_path):
    """Another process that works with the same folder: (its name, the process)."""
    yield from held_in(tmp_path)


@pytest.fixture
def sibling(tmp_path):
    """The same, of the family `workers`."""
    yield from held_in(tmp_path, "workers")


def held_in(folder, family=""):
    command = [sys.executable, "-c", HOLDER, str(folder), family]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip(), process
        process.kill()


def test_an_owner_is_alive_for_itself(owner):
    assert owner.is_alive(owner.name)
    assert not owner.others_alive()


@pytest.mark.parametrize("name", ["", "nobody"])
def test_an_owner_that_never_was_is_dead(owner, name):
    assert not owner.is_alive(name)


def test_another_process_is_alive_until_it_ends(owner, other):
    name, process = other
    assert owner.is_alive(name)
    assert owner.others_alive()
    process.kill()
    process.wait()
    assert not owner.is_alive(name)
    assert not owner.others_alive()


def test_what_a_dead_owner_left_is_cleared_away(owner, other, tmp_path):
    name, process = other
    process.kill()
    process.wait()
    assert (tmp_path / "owners" / f"{name}.lock").exists()
    assert owner.find_dead({name: True}) == [name]
    assert (tmp_path / "owners" / f"{name}.lock").exists(), "its runs have not been taken over"
    assert owner.find_dead({}) == []
    assert not (tmp_path / "owners" / f"{name}.lock").exists()


def test_an_owner_of_another_data_folder_lives_as_long_as_its_lease(owner, caplog):
    for _ in range(2):
        assert owner.find_dead({"elsewhere": True, owner.name: True}) == []
    assert caplog.text.count("another data folder") == 1
    assert owner.find_dead({"elsewhere": False}) == ["elsewhere"]


def test_where_others_may_be_on_other_machines_only_siblings_are_known_to_be_dead(other, sibling, tmp_path, caplog):
    worker = OwnerLock(tmp_path, family="workers", sees_all=False)
    assert worker.can_tell
    owners = {name: True for name, _process in (other, sibling)} | {"elsewhere": False}
    assert worker.find_dead(owners) == []
    for _name, process in (other, sibling):
        process.kill()
        process.wait()
    assert worker.find_dead(owners) == [sibling[0]]
    assert worker.find_dead({}) == []
    assert [path.stem for path in (tmp_path / "owners").iterdir()] == [other[0]], "not its own to clear away"
    assert "another data folder" not in caplog.text
    assert not OwnerLock(tmp_path, sees_all=False).can_tell


def test_a_released_owner_is_dead_and_leaves_nothing(owner, tmp_path):
    leaving = OwnerLock(tmp_path)
    leaving.acquire()
    leaving.release()
    leaving.release()
    assert not owner.is_alive(leaving.name)
    assert [path.stem for path in (tmp_path / "owners").iterdir()] == [owner.name]


def test_an_owner_that_was_taken_for_dead_before_it_had_its_lock_takes_another_file(owner, tmp_path, monkeypatch):
    late = OwnerLock(tmp_path)
    lock, seen = fcntl.flock, []

    def slow(file, operation):
        if operation == fcntl.LOCK_EX and not seen:
            owner.find_dead({})
            seen.append(owner.is_alive(late.name))  # between open and lock
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    late.acquire()
    assert seen == [False]
    assert owner.is_alive(late.name)
    late.release()
