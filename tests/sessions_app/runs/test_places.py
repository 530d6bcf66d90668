"""How many runs may start, by every limit, and what is remembered of a refusal."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions_app.runs.places import Places


@pytest.mark.parametrize(
    ("per_agent", "taken", "is_free"),
    [
        (None, Counter(), True),
        (None, Counter(a=1, b=1), True),
        (None, Counter(a=2, b=1), False),
        (None, Counter(a=3), False),
        (2, Counter(a=1, b=1), True),
        (2, Counter(b=2), True),
        (2, Counter(a=2), False),
    ],
)
def test_a_place_is_free_below_both_limits(per_agent, taken, is_free):
    places = Places(3, per_agent)
    assert places.is_free("a", taken) is is_free
    assert places.take_refusals() is not is_free
    assert not places.take_refusals(), "a refusal is told once"


def test_when_it_is_closed_nothing_starts_and_nothing_waits_for_a_place():
    places = Places(3, None)
    places.close()
    assert places.is_closed
    assert not places.is_free("a", Counter())
    assert not places.take_refusals()


def test_what_is_refused_for_another_reason_is_remembered_too():
    places = Places(3, None)
    places.refuse()
    assert places.take_refusals()


@pytest.mark.parametrize(
    ("per_agent", "left", "refuses"),
    [
        (None, {"a": 2, "b": 0}, True),
        (4, {"a": 2, "b": 0, "c": 1}, True),
        (1, {"a": 0, "b": 0, "c": -2}, True),
    ],
)
def test_what_is_left_is_the_smaller_of_both_limits(per_agent, left, refuses):
    """The agents `a` and `b` are limited to 5 and 1 runs in all processes, `c` is not."""
    places = Places(10, per_agent)
    limits = {"a": 5, "b": 1, "c": None}
    assert places.left(limits, Counter(a=3, b=1), Counter(a=1, c=3)) == left
    assert places.take_refusals() is refuses


def test_while_nothing_is_limited_nothing_is_counted():
    places = Places(10, None)
    assert places.left({"a": None}, Counter(), Counter(a=9)) == {}
    assert not places.take_refusals()


COUNTS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 4)).map(Counter)


@given(COUNTS, st.integers(1, 5), st.none() | st.integers(1, 3), st.sampled_from("abc"))
def test_an_agent_with_a_place_left_gets_one_unless_the_process_is_full(taken, max_runs, per_agent, agent):
    places = Places(max_runs, per_agent)
    left = places.left({"a": None, "b": None, "c": None}, Counter(), taken)
    has_place = left.get(agent, 1) > 0
    assert places.is_free(agent, taken) is (has_place and taken.total() < max_runs)
