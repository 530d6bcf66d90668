"""How long entries wait for others, told by what commits take."""

import time

import pytest

from sessions_app.journal.commit_gap import CommitGap


@pytest.fixture
def now(monkeypatch):
    """The clock, which a test moves."""
    shown = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: shown[0])
    return shown


@pytest.mark.parametrize(("took", "gap"), [(0.001, 0.02), (0.01, 0.04), (0.015, 0.035), (0.03, 0.03), (0.5, 0.1)])
def test_what_may_wait_leaves_commits_a_fifth_of_the_time_or_comes_twenty_times_a_second(now, took, gap):
    waiting = CommitGap()
    assert waiting.left(is_urgent=False) <= 0, "the first one has nothing to wait for"
    waiting.committed(took, sessions=1)
    assert waiting.left(is_urgent=False) == pytest.approx(gap)
    now[0] += gap
    assert waiting.left(is_urgent=False) == pytest.approx(0)


def test_one_slow_commit_changes_nothing(now):
    gap = CommitGap()
    for took in (0.01, 0.01, 0.9, 0.01):
        gap.committed(took, sessions=1)
    assert gap.left(is_urgent=False) == pytest.approx(0.04)


def test_what_is_urgent_waits_only_among_many(now):
    gap = CommitGap()
    gap.committed(0.005, sessions=3)
    assert gap.left(is_urgent=True) <= 0
    gap.committed(0.005, sessions=4)
    assert gap.left(is_urgent=True) == pytest.approx(0.005)
    for _ in range(9):
        gap.committed(3.0, sessions=4)
    assert gap.left(is_urgent=True) == pytest.approx(0.01)
