"""When a changed file means a new start."""

from __future__ import annotations

import os
import py_compile
import threading
from pathlib import Path

import pytest

from agents.loading.file_watcher import SourceWatcher


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "watched_agent.py"
    path.write_text("x = 1\n")
    return path


def test_nothing_changed(file):
    watcher = SourceWatcher([str(file)])
    assert not watcher.look()
    assert not watcher.changed


def test_a_change_counts_once(file):
    watcher = SourceWatcher([str(file)])
    file.write_text("x = 22\n")
    assert watcher.look()
    assert watcher.changed
    assert not watcher.look()


def test_a_change_of_the_time_alone_counts(file):
    watcher = SourceWatcher([str(file)])
    os.utime(file, ns=(1, 1))
    assert watcher.look()


def test_the_new_start_reads_what_has_changed(file):
    """Bytecode of the same second and the same size would come before it."""
    watcher = SourceWatcher([str(file)])
    bytecode = Path(py_compile.compile(str(file), doraise=True))
    before = file.stat()
    file.write_text("x = 2\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert watcher.look()
    assert not bytecode.exists()


def test_what_does_not_compile_is_logged_and_waited_for(file, caplog):
    watcher = SourceWatcher([str(file)])
    file.write_text("x = = 1\n")
    assert not watcher.look()
    assert "the old version stays in use" in caplog.text
    file.write_text("x = 1 + 1\n")
    assert watcher.look()


def test_a_file_being_replaced_is_waited_for(file, caplog):
    watcher = SourceWatcher([str(file)])
    file.unlink()
    assert not watcher.look()
    file.write_text("x = 1\n")
    assert watcher.look()


def test_of_a_folder_every_file_counts_and_new_ones_too(tmp_path):
    (tmp_path / "watched_one.py").write_text("agent = 1\n")
    watcher = SourceWatcher([str(tmp_path)])
    assert not watcher.look()
    (tmp_path / "watched_two.py").write_text("agent = = 2\n")
    assert not watcher.look()
    (tmp_path / "watched_two.py").write_text("agent = 2\n")
    assert watcher.look()
    (tmp_path / "notes.txt").write_text("not a module")
    assert not watcher.look()


def test_modules_have_no_file_of_their_own_to_watch():
    assert not SourceWatcher(["some.module"]).look()


def test_the_server_is_told_from_the_thread(file):
    watcher = SourceWatcher([str(file)], poll_seconds=0.01)
    told = threading.Event()
    watcher.start(told.set)
    file.write_text("x = 333\n")
    assert told.wait(20)
    assert watcher.changed


def test_a_stopped_watcher_tells_nobody(file):
    watcher = SourceWatcher([str(file)], poll_seconds=0.01)
    watcher.stop()
    file.write_text("x = 333\n")
    watcher.wait()
    assert not watcher.changed
