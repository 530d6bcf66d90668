"""A supervisor in this process and small workers of its own: who is started, replaced, woken and ended."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from agents.conf import get_config
from agents.supervisor import supervisor
from agents.supervisor.operator_socket import replace_workers
from agents.supervisor.rolling_restart import RestartOutcome
from agents.supervisor.supervisor import Supervisor
from tests.support.paths import ROOT
from tests.support.worker_pids import is_gone, wait_gone

WAIT_SECONDS = 60


@pytest.fixture
def breaks(tmp_path):
    """The file that lets workers fail."""
    return tmp_path / "breaks"


@pytest.fixture
def run(tmp_path, breaks, monkeypatch, settings):
    """Supervise two workers; the exit code, once `conversation` with them is over."""
    # Where a terminal controls the tests, too.
    monkeypatch.setattr(supervisor, "has_terminal", lambda: False)
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, str(ROOT / "tests/support/small_worker.py")])
    settings.MYAGENT = {**settings.MYAGENT, "DATA_DIR": str(tmp_path), "DRAIN_SECONDS": 0}

    def run(conversation=None, *, signum=signal.SIGTERM):
        environment = os.environ | {"WORKER_BREAKS": str(breaks), "PYTHONPATH": str(ROOT)}
        with socket.create_server(("127.0.0.1", 0)) as sock:
            supervised = Supervisor([sock], workers=2, environment=environment, config=get_config())
            if conversation is None:
                return supervised.run()
            with talking(Port(sock.getsockname()[1]), conversation, signum):
                return supervised.run()

    return run


@contextmanager
def talking(port, conversation, signum):
    """In a thread, as the supervisor has this one; its end ends the supervisor."""

    def talk():
        try:
            conversation(port)
        finally:
            os.kill(os.getpid(), signum)

    with ThreadPoolExecutor(1) as pool:
        talked = pool.submit(talk)
        yield
        talked.result()


class Port:
    """What clients of the workers can do."""

    def __init__(self, number):
        self._number = number

    def ask(self, words):
        with socket.create_connection(("127.0.0.1", self._number), WAIT_SECONDS) as sock:
            sock.sendall(words.encode() + b"\n")
            return sock.makefile().readline().strip()

    def workers(self, number=2, *, other_than=()):
        """The numbers and processes of so many workers that serve."""
        found = {}

        def are_found():
            worker, pid = map(int, self.ask("who").split())
            if pid not in other_than:
                found[worker] = pid
            return len(found) == number and not any(map(is_gone, found.values()))

        becomes(are_found)
        return found


def becomes(is_so):
    until = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_dies_is_started_again_and_what_one_writes_the_other_learns(run, caplog):
    seen = []

    def conversation(port):
        first = port.workers()
        assert sorted(first) == [0, 1]
        port.ask("wake a-session")
        becomes(lambda: port.ask("grown") == "a-session")
        os.kill(first[1], signal.SIGKILL)
        second = port.workers(other_than=[first[1]])
        assert second[0] == first[0] and second[1] != first[1]
        seen.extend([*first.values(), *second.values()])

    assert run(conversation) == 0
    assert all(map(is_gone, seen))
    assert "was ended by SIGKILL. Starting another one in" in caplog.text


def test_workers_are_replaced_one_after_the_other_and_a_failure_leaves_the_rest(run, breaks, tmp_path):
    def conversation(port):
        before = port.workers()
        os.kill(os.getpid(), signal.SIGHUP)
        after = port.workers(other_than=before.values())
        wait_gone(*before.values())
        breaks.write_text("no such module")
        assert list(replace_workers(tmp_path)) == [RestartOutcome(0, "no such module")]
        assert port.workers() == after

    assert run(conversation) == 0


def test_a_first_worker_that_cannot_serve_ends_the_command_with_its_code(run, breaks):
    breaks.write_text("the database is away")
    assert run() == 3


def test_a_worker_that_stands_still_is_replaced(run, monkeypatch, caplog):
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 2)
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.5)

    def conversation(port):
        before = port.workers()
        os.kill(before[0], signal.SIGSTOP)
        wait_gone(before[0])
        port.workers(other_than=[before[0]])

    assert run(conversation) == 0
    assert "has not given a sign of life for 2 s" in caplog.text


def test_a_second_signal_ends_everything_at_once(run, caplog):
    workers = []

    def conversation(port):
        workers.extend(port.workers().values())
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)  # so that none ends in order
        os.kill(os.getpid(), signal.SIGINT)
        becomes(lambda: "Stopping 2 workers." in caplog.text)

    assert run(conversation) == 128 + signal.SIGTERM
    assert all(map(is_gone, workers))
