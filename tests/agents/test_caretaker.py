"""The server's log, streams and folder are put back; what tools do to the real ones is tested in tests/server."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from agents import caretaker as module
from agents.caretaker import Caretaker


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """Stands for all loggers of the server; one below it is made later."""
    above, below = logging.getLogger("kept"), logging.getLogger("kept.below")
    above.setLevel(logging.INFO)
    above.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    above.addHandler(handler)
    monkeypatch.setattr(module, "_our_loggers", lambda: [("kept", above), ("kept.below", below)])
    yield above
    above.handlers.clear()
    above.filters.clear()


@pytest.fixture
def caretaker(log: logging.Logger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Caretaker:
    monkeypatch.chdir(tmp_path)
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, getattr(sys, stream))  # put back afterwards
    caretaker, saved = Caretaker(), os.dup(2)
    with (tmp_path / "stderr").open("w") as file:
        os.dup2(file.fileno(), 2)
        caretaker.begin()
        os.dup2(saved, 2)
    os.close(saved)
    return caretaker


def warning(caplog: pytest.LogCaptureFixture) -> str:
    """The only line of the log."""
    (record,) = caplog.records
    caplog.clear()
    return record.getMessage()


CHANGES = {
    "disabled": lambda log: setattr(log, "disabled", True),
    "propagate": lambda log: setattr(log, "propagate", True),
    "level of the logger": lambda log: log.setLevel(logging.ERROR),
    "filters of the logger": lambda log: log.addFilter(lambda _: False),
    "handlers": lambda log: log.handlers.clear(),
    "level of a handler": lambda log: log.handlers[0].setLevel(logging.CRITICAL),
    "formatter": lambda log: log.handlers[0].setFormatter(logging.Formatter()),
    "filters of a handler": lambda log: log.handlers[0].addFilter(lambda _: False),
    "stream of a handler": lambda log: setattr(log.handlers[0], "stream", io.StringIO()),
    "the stream of the log": lambda log: log.handlers[0].stream.close(),
    "logging.disable": lambda _: logging.disable(logging.ERROR),
    "the working folder": lambda _: os.chdir("/"),
    "sys.stdout": lambda _: setattr(sys, "stdout", None),
    "sys.stderr": lambda _: setattr(sys, "stderr", _closed()),
}


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_is_put_back_once(caretaker, log, caplog, tmp_path, what):
    handler = next(each for each in log.handlers if type(each) is logging.StreamHandler)
    with caretaker.watching("The tool 'meddle'"):
        CHANGES[what](log)
    told = warning(caplog)
    assert told.startswith("The tool 'meddle' changed what belongs to the server (")
    assert what.removesuffix(" of the logger") in told
    caretaker.look()
    assert not caplog.records
    log.info("it goes on")
    assert (tmp_path / "stderr").read_text().endswith("it goes on\n")
    assert handler in log.handlers and log.level == logging.INFO and not log.propagate
    assert Path.cwd() == tmp_path
    assert not sys.stdout.closed and not sys.stderr.closed


def test_more_is_no_harm(caretaker, log, caplog):
    more = logging.NullHandler()
    with caretaker.watching("The tool 'tune'"):
        log.setLevel(logging.DEBUG)
        log.addHandler(more)
        logging.getLogger("kept.below").setLevel(logging.DEBUG)
        sys.stdout = io.StringIO()  # captured for a moment
    assert not caplog.records
    assert more in log.handlers


def test_a_folder_is_left_to_the_tools_that_run(caretaker, caplog, tmp_path):
    with caretaker.watching("The tool 'visit'"):
        os.chdir("/")
        with caretaker.watching("The tool 'other'"):
            pass
        assert Path.cwd() == Path("/")
    assert Path.cwd() == tmp_path
    assert "'visit'" in warning(caplog)


def test_all_that_ran_since_the_last_look_may_have_done_it(caretaker, log, caplog):
    log.disabled = True
    caretaker.look()
    assert warning(caplog).startswith("Something that an agent left running changed")
    with caretaker.watching("The tool 'long'"):
        with caretaker.watching("The tool 'short'"):
            pass
        log.disabled = True
        caretaker.look()
        assert warning(caplog).startswith("The tool 'long' changed")


def test_it_is_known_who_started_a_thread(caretaker):
    gate = threading.Event()
    with caretaker.watching("The agent file a.py"):
        thread = threading.Thread(target=gate.wait, name="waiter")
        thread.start()
    assert caretaker.describe(thread) == "waiter (the agent file a.py)"
    assert caretaker.describe(threading.Thread(name="other")) == "other"
    gate.set()
    thread.join()
    assert all(isinstance(child, BaseProcess) for child in caretaker.children())


def test_nothing_happens_before_the_beginning(log, caplog):
    with Caretaker().watching("The agent file a.py"):
        log.disabled = True
    assert log.disabled and not caplog.records
    log.disabled = False
