"""What a frame holds, counted before it is parsed."""

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.protocol import frame_weight
from myagent.protocol.codec import parse_frame
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.frame_weight import MAX_VALUES, TooManyValues, check_weight

SIZE = 4_000_000
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='a\\",[]{}: \n☃', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(alphabet='k\\",{', max_size=3), inner, max_size=5)
    ),
    max_leaves=30,
)


def values(item):
    children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return 1 + sum(map(values, children))


def depth(item):
    children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else None
    return 0 if children is None else 1 + max(map(depth, children), default=0)


def code(frame):
    with pytest.raises(ProtocolError) as error:
        parse_frame(frame)
    return error.value.code


def verdict(frame):
    try:
        check_weight(frame)
    except ValueError as error:
        return type(error).__name__
    return None


@given(JSON, st.integers(1, 12), st.integers(1, 6), st.sampled_from([0, orjson.OPT_INDENT_2]))
def test_values_and_levels_are_counted_as_a_parser_finds_them(item, most, deepest, option):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frame_weight, "MAX_VALUES", most)
        patched.setattr(frame_weight, "MAX_DEPTH", deepest)
        found = verdict(orjson.dumps(item, option=option).decode())
    if values(item) > most:
        assert found == "TooManyValues" or (found == "TooDeep" and depth(item) > deepest)
    else:
        assert found == ("TooDeep" if depth(item) > deepest else None)


@pytest.mark.parametrize(
    "frame",
    [
        '{"event": "user.cancel", "x": [' + "0," * (MAX_VALUES - 4) + "0]}",
        '{"event": "user.cancel", "x": "' + "1,2\\n" * 800_000 + '"}',
        '{"event": "user.cancel", "x": "' + '{\\"a\\": []}, ' * 300_000 + '"}',
        '{"event": "user.cancel", "x": "' + "\\\\" * 100_000 + '", "y": "' + "[," * 100_000 + '"}',
    ],
    ids=["as many as may be", "a table in a string", "JSON in a string", "behind escaped backslashes"],
)
def test_what_strings_hold_is_no_value(frame):
    check_weight(frame)
    assert code(frame) == ErrorCode.MISSING_FIELD  # the session id: it was parsed


@pytest.mark.parametrize(
    "frame",
    [
        '{"event": "user.cancel", "x": [' + "{}," * (SIZE // 3) + "{}]}",
        '{"event": "user.cancel", "x": [' + "[ ] ," * (SIZE // 5) + "[]]}",
        '{"event": "user.cancel", "x": [' + "1," * MAX_VALUES + "1]}",
        '{"event": "user.cancel", "x": [' + '"",' * (SIZE // 3) + '""]}',
        '{"event": "user.cancel", "x": [' + '"\\\\",' * MAX_VALUES + '""]}',
        '{"event": "user.cancel", "x": {' + '"":{"":1},' * MAX_VALUES + '"":0}}',
        "[" * (SIZE // 2),
        '{"event": "user.cancel", "x": [' + '"\\"",' * MAX_VALUES + '""]}',
    ],
    ids=["objects", "lists", "numbers", "texts", "backslashes", "keys", "openings", "escaped quotes"],
)
def test_more_values_are_refused_without_being_parsed(frame, monkeypatch):
    monkeypatch.setattr(orjson, "loads", lambda text: pytest.fail("It was parsed."))
    began = time.process_time()
    assert code(frame) == ErrorCode.TOO_MANY_VALUES
    assert time.process_time() - began < 0.25  # a parser took up to a second; here it is about 0.03


@pytest.mark.parametrize(
    "frame", ["[" * 90_000, "{}" * 60_000 + "]", "[" * 90_000 + "]" * 90_000, "][" * 40_000, '"' * SIZE]
)
def test_brackets_that_are_no_json_take_no_time(frame):
    began = time.process_time()
    assert code(frame) == ErrorCode.BAD_JSON
    assert time.process_time() - began < 0.25


@given(st.text(alphabet='\\",[]{}: 1', max_size=60))
def test_what_is_no_json_is_refused_with_words(frame):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frame_weight, "MAX_VALUES", 3)
        patched.setattr(frame_weight, "MAX_DEPTH", 2)
        with pytest.raises(ProtocolError):
            parse_frame(frame)


def test_the_words_name_the_limit():
    assert "100,000" in str(TooManyValues())
