"""How fast somebody may ask."""

import pytest

from agents.budgets import rates
from agents.budgets.rates import BURST_SECONDS, RateExceeded, Rates
from agents.budgets.shares import Sharer
from agents.conf import Config

ANN, BOB = Sharer(1), Sharer(2)
HERE, THERE = Sharer(None, "here"), Sharer(None, "there")
LIMITS = {
    "user_requests_per_second": 2,
    "user_bytes_per_second": 1_000,
    "address_requests_per_second": 1,
    "address_bytes_per_second": None,
    "anonymous_requests_per_second": 1.5,
    "anonymous_bytes_per_second": None,
}


@pytest.fixture
def limited():
    return Rates(Config(**LIMITS))


def admitted(limited, sharer, now, size=1):
    """How many of a hundred requests at once are admitted, and what the next one is told."""
    for count in range(100):
        try:
            limited.admit(sharer, size, now)
        except RateExceeded as error:
            return count, (error.rate, error.scope, error.retry_after)
    return 100, None


def test_a_burst_is_admitted_and_then_the_rate(limited):
    assert admitted(limited, ANN, 0.0) == (2 * BURST_SECONDS, ("requests_per_second", "user", 1))
    assert admitted(limited, ANN, 0.4) == (0, ("requests_per_second", "user", 1))
    assert admitted(limited, ANN, 3.0)[0] == 6
    assert admitted(limited, ANN, 1_000.0)[0] == 2 * BURST_SECONDS


def test_what_is_refused_does_not_count(limited):
    admitted(limited, ANN, 0.0)
    for _ in range(1_000):
        with pytest.raises(RateExceeded):
            limited.admit(ANN, 1_000_000, 0.0)
    assert admitted(limited, ANN, 0.5)[0] == 1


def test_bytes_are_limited_and_the_last_request_may_be_large(limited):
    assert admitted(limited, ANN, 0.0, size=4_000) == (3, ("bytes_per_second", "user", 2))
    assert admitted(limited, ANN, 1.0, size=1)[0] == 0
    assert admitted(limited, ANN, 3.0, size=1)[0] > 0
    limited.admit(BOB, 50_000, 0.0)
    with pytest.raises(RateExceeded) as error:
        limited.admit(BOB, 1, 0.0)
    assert error.value.retry_after == 40


def test_one_does_not_use_the_share_of_another(limited):
    admitted(limited, ANN, 0.0)
    assert admitted(limited, BOB, 0.0)[0] == 2 * BURST_SECONDS
    assert admitted(limited, HERE, 0.0) == (BURST_SECONDS, ("requests_per_second", "address", 1))


def test_all_anonymous_visitors_have_a_rate_together(limited):
    admitted(limited, HERE, 0.0)
    assert admitted(limited, THERE, 0.0) == (5, ("requests_per_second", "anonymous", 1))
    assert admitted(limited, ANN, 0.0)[0] == 2 * BURST_SECONDS


def test_a_clock_that_stands_still_or_goes_back_gives_nothing(limited):
    admitted(limited, ANN, 100.0)
    assert admitted(limited, ANN, 50.0)[0] == 0
    assert admitted(limited, ANN, 50.0)[0] == 0


def test_without_limits_everything_is_admitted():
    unlimited = Rates(Config(**dict.fromkeys(LIMITS)))
    assert all(admitted(unlimited, sharer, 0.0, size=10**9)[0] == 100 for sharer in (ANN, HERE))


def test_those_who_are_quiet_are_forgotten_and_others_are_not(limited, monkeypatch):
    monkeypatch.setattr(rates, "FORGET_AT", 3)
    admitted(limited, ANN, 0.0)
    for number in range(50):
        limited.admit(Sharer(number + 10), 1, 1_000.0 * number)
    assert len(limited._paces) <= 4
    admitted(limited, BOB, 60_000.0)
    for number in range(50):
        limited.admit(Sharer(number + 10), 1, 60_000.0)
    assert admitted(limited, BOB, 60_000.0)[0] == 0
