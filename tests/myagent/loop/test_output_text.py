"""The text around a value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.loop.output_text import JSONHider, readable, split_value, with_code

pytestmark = pytest.mark.usefixtures("in_english")


@pytest.mark.parametrize(
    ("text", "said", "value"),
    [
        ('{"a": 1}', "", '{"a": 1}'),
        ('Here it is:\n{"a": 1}', "Here it is:", '{"a": 1}'),
        ('Here it is:\n```json\n{"a": 1}\n```\nDone.', "Here it is:\n\nDone.", '{"a": 1}'),
        ("nothing of that kind", "nothing of that kind", ""),
        ("in a {line}", "in a {line}", ""),
        ("", "", ""),
    ],
)
def test_the_value_in_a_text(text, said, value):
    assert split_value(text) == (said, value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a": 1}', ""),
        ('\n\n  {"a": 1}', ""),
        ('Look:\n\n{"a": 1}\nand more', "Look:\n\n"),
        ("Look:\n```json\n{}\n```", "Look:\n"),
        ("with `code` and {braces} in it", "with `code` and {braces} in it"),
        ("  two\n  lines", "  two\n  lines"),
    ],
)
def test_what_is_shown_does_not_depend_on_the_pieces(text, shown):
    for size in (1, 2, 3, 100):
        hider = JSONHider()
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert "".join(map(hider.take, pieces)) == shown
        assert hider.has_shown == bool(shown)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_every_value_can_be_read(value):
    assert readable(value).strip()
    assert json.loads(split_value(with_code(json.dumps(value)))[1]) == value


def test_a_value_in_words():
    value = {"customer": "ACME", "lines": [{"item": "chair", "count": 3}], "tags": ["a", "b"], "paid": True}
    assert readable(value) == (
        "- **customer**: ACME\n- **lines**:\n  - item: chair, count: 3\n- **tags**: a, b\n- **paid**: yes"
    )
