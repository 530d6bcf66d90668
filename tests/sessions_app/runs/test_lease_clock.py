"""When leases tell that their owners are gone, and when they only tell that nobody could renew them."""

from __future__ import annotations

import pytest

from sessions_app.runs.lease_clock import LeaseClock

LEASE = 15


class Clock(LeaseClock):
    """Its time is what the test says."""

    time = 1000.0

    def _now(self) -> float:
        return self.time

    def after(self, seconds: float) -> bool:
        self.time += seconds
        return self.expiry_counts()


@pytest.fixture
def leases():
    return Clock(LEASE)


def test_they_count_from_the_start(leases):
    assert leases.after(0)


def test_they_count_while_the_database_answers(leases):
    assert all(leases.after(seconds) for seconds in [1, 1, 5, 0.2, 8, 1])


@pytest.mark.parametrize("gap", [8.6, 3600, -60], ids=["silence", "sleep", "a clock put back"])
def test_after_a_silence_owners_get_one_lease_to_renew(leases, gap):
    assert leases.after(1)
    assert not leases.after(gap)
    assert not any(leases.after(1) for _ in range(LEASE - 1))
    assert leases.after(1)


def test_a_second_silence_counts_anew(leases):
    assert not leases.after(60)
    assert not leases.after(10)
    assert not leases.after(5)
    assert not leases.after(5)
    assert leases.after(5)
