"""Handlers of signals; what a second one does is tested on a process of its own, with the server."""

from __future__ import annotations

import os
import signal

import pytest

from agents.hosting.stop_signals import StopSignals, ignore_user_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture(autouse=True)
def restored():
    handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
    yield
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_one_stops(signum):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    stops = []
    with StopSignals(lambda: stops.append(signum)):
        os.kill(os.getpid(), signum)
        assert stops == [signum]
        os.kill(os.getpid(), signal.SIGHUP)
        assert stops == [signum], "neither once more nor at once"


def test_a_hangup_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopSignals(pytest.fail):
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_user_signals_do_nothing_unless_somebody_handles_them():
    got = []
    signal.signal(signal.SIGUSR1, lambda signum, frame: got.append(signum))
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    ignore_user_signals()
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert got == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR2) is not signal.SIG_IGN, "child processes would inherit that"
