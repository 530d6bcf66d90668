"""What a session's state takes, and what is said of anything else."""

from __future__ import annotations

import datetime
import decimal
import enum
import pathlib
import uuid

import pytest

from myagent import i18n
from myagent.loop.tool_state import changed, snapshot


@pytest.fixture(autouse=True)
def english():
    language = i18n._language
    i18n.use_language("en")
    yield
    i18n.use_language(language)


class Mark(enum.Enum):
    A = 1


class Word(enum.StrEnum):
    A = "a"


class Shifty:
    def __repr__(self):
        raise RuntimeError("no")


def stored(value):
    """What becomes of a state in which a tool has left this value."""
    state = {"trip": {"stops": [{}]}}
    before = snapshot(state)
    state["trip"]["stops"][0]["day"] = value
    return changed(state, before)


@pytest.mark.parametrize(
    "value", ["", "天气", 1, -(2**63), 2**64 - 1, 1.5, True, None, [], {}, [{"a": [None]}], Word.A]
)
def test_what_json_takes_is_kept(value):
    kept, problem = stored(value)
    assert (kept, problem) == ({"trip": {"stops": [{"day": value}]}}, None)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (datetime.datetime(2026, 1, 2), "of the class datetime; store value.isoformat()"),
        (datetime.date(2026, 1, 2), "of the class date; store value.isoformat()"),
        (datetime.timedelta(1), "store value.total_seconds()"),
        ((1, 2), "of the class tuple; store list(value)"),
        ({1, 2}, "of the class set; store sorted(value)"),
        (b"x", "of the class bytes"),
        (decimal.Decimal("1.5"), "store str(value)"),
        (uuid.UUID(int=1), "store str(value)"),
        (pathlib.Path("x"), "store str(value)"),
        (Mark.A, "of the class Mark"),
        (object(), "of the class object"),
        (len, "of the class builtin_function_or_method"),
        (Shifty(), "of the class Shifty"),
        (float("nan"), "the number nan"),
        (float("-inf"), "the number -inf"),
        (2**64, "the number 18446744073709551616"),
        ({1: "x"}, "has the key 1, which is no text"),
        ({None: "x"}, "has the key None"),
    ],
)
def test_what_it_does_not_take_is_told_with_its_place(value, words):
    kept, problem = stored(value)
    assert kept is None
    assert 'state["trip"]["stops"][0]["day"]' in problem and words in problem


def test_what_holds_itself():
    loop = {}
    loop["again"] = loop
    assert "holds itself" in stored(loop)[1]


def test_nothing_that_json_has_no_word_for_passes_for_null():
    state = {"price": None}
    before = snapshot(state)
    state["price"] = float("nan")
    assert 'state["price"]' in changed(state, before)[1]


def test_what_another_call_left_is_blamed_on_those_that_change_something_only():
    state = {"day": datetime.date(2026, 1, 2)}
    before = snapshot(state)
    assert changed(state, before) == (None, None)
    state["n"] = 1
    assert 'state["day"]' in changed(state, before)[1]
    before = snapshot(state)
    state["day"] = "2026-01-02"
    assert changed(state, before) == ({"day": "2026-01-02", "n": 1}, None)


def test_the_order_of_keys_is_no_change():
    state = {"a": 1, "b": {"c": 1, "d": 2}}
    before = snapshot(state)
    state["b"] = {"d": 2, "c": 1}
    state["a"] = state.pop("a")
    assert changed(state, before) == (None, None)
