"""What endpoints add to replies: collected from streams, bounded, and put back where it was."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.llm.requests.provider_data import MAX_BYTES, Additions, provider_data, with_provider_data
from myagent.messages import Message, ProviderData, ToolCall

DEEP = json.loads("[" * 40 + "]" * 40)
PLACE = {"endpoint": "https://e/v1", "model": "m"}


def collected(*deltas, calls=()):
    """The additions to a message of these deltas; `calls` are the parts of each call."""
    message, each = Additions(), []
    for delta in deltas:
        message.add_message(delta)
    for parts in calls:
        each.append(Additions())
        for part in parts:
            each[-1].add_call(part)
    return provider_data(message, each, **PLACE)


def details(*pieces):
    """What becomes of `reasoning_details` that come in these pieces."""
    return collected(*({"reasoning_details": piece} for piece in pieces)).message["reasoning_details"]


def test_what_is_standard_is_no_addition():
    standard = {"role": "assistant", "content": "x", "tool_calls": [], "refusal": None, "function_call": {}}
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    flat = {"index": 0, "id": "a", "name": "f", "arguments": "{}"}
    assert collected(standard, {"prefix": False, "audio": None, "x": ""}, calls=[[call], [flat]]) is None


def test_reasoning_is_joined_and_kept_beside_calls_only():
    pieces = [{"reasoning_content": piece} for piece in ("ha", "ha", " ", "ha")]
    assert collected(*pieces) is None
    assert collected(*pieces, calls=[[]]).message == {"reasoning_content": "haha ha"}


def test_the_additions_of_each_call_are_its_own():
    signed = {"extra_content": {"google": {"thought_signature": "abc"}}}
    sealed = {"function": {"seal": "s", "name": "f"}}
    data = collected(calls=[[signed, {"function": {"arguments": "{}"}}], [sealed], []])
    assert data.message == {}
    assert data.calls == (signed, {"function": {"seal": "s"}}, {})


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (
            [[{"type": "t", "text": "a", "index": 0}], [{"type": "t", "text": "b", "index": 0}]],
            [{"type": "t", "text": "ab", "index": 0}],
        ),
        (
            [[{"type": "t", "text": "a", "index": 0}], [{"type": "e", "data": "x", "index": 0}]],
            [{"type": "t", "text": "a", "index": 0}, {"type": "e", "data": "x", "index": 0}],
        ),
        (
            [[{"type": "e", "data": "x", "index": 0}], [{"type": "e", "data": "y", "index": 0}]],
            [{"type": "e", "data": "x", "index": 0}, {"type": "e", "data": "y", "index": 0}],
        ),
        (
            [[{"type": "t", "text": "a"}], [{"type": "t", "text": "b"}, {"type": "t", "signature": "s"}]],
            [{"type": "t", "text": "ab", "signature": "s"}],
        ),
        (
            [[{"type": "t", "text": "a", "signature": "s"}], [{"type": "t", "text": "b"}]],
            [{"type": "t", "text": "a", "signature": "s"}, {"type": "t", "text": "b"}],
        ),
        (
            [[{"id": "1", "type": "t", "text": "a", "index": 0}], [{"id": "2", "type": "t", "text": "b", "index": 0}]],
            [{"id": "1", "type": "t", "text": "a", "index": 0}, {"id": "2", "type": "t", "text": "b", "index": 0}],
        ),
        # The text so far in every piece, as MiniMax streams it.
        (
            [[{"type": "t", "text": text, "index": 0}] for text in ("Let me", "Let me think", "Let me think.")],
            [{"type": "t", "text": "Let me think.", "index": 0}],
        ),
        ([["a"], ["b"]], ["a", "b"]),
        ([[{"type": "t", "text": "a", "x": 1.5}, None, 7]], [{"type": "t", "text": "a", "x": 1.5}, None, 7]),
    ],
)
def test_items_of_lists(pieces, expected):
    assert details(*pieces) == expected


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["sig"], "sig"),
        (["sig-", "nature"], "sig-nature"),
        (["signature", "signature"], "signature"),
        (["ok", "ok"], "ok"),
        ([{"a": "x"}, {"a": "y", "b": 1}], {"a": "xy", "b": 1}),
        ([{"id": "r"}, {"id": "r"}], {"id": "r"}),
        ([1, 2], 2),
        (["x", 5], 5),
        ([["x"], "y"], "y"),
    ],
)
def test_unknown_values(pieces, expected):
    assert collected(*({"vendor": piece} for piece in pieces)).message == {"vendor": expected}


def test_what_cannot_be_stored_is_mended():
    assert collected({"vendor": "a\x00\ud800"}).message == {"vendor": "a\ufffd\ufffd"}


@pytest.mark.parametrize("value", ["x" * MAX_BYTES, 10**30, DEEP])
def test_what_cannot_be_kept_is_dropped_and_the_log_says_so(value, caplog):
    with caplog.at_level(logging.WARNING, "myagent.model"):
        assert collected({"vendor": value}) is None
        assert collected(calls=[[{"vendor": value}]]) is None
    assert [record.name for record in caplog.records] == ["myagent.model"] * 2
    assert "m at https://e/v1 added more" in caplog.text and "xxx" not in caplog.text


def test_the_size_is_what_it_takes_as_json():
    data = collected({"vendor": "é"})
    assert 5 < data.size < 40
    assert ProviderData.from_json(json.loads(json.dumps(data.to_json()))) == data


def test_it_is_put_back_where_it_was_and_replaces_nothing():
    data = ProviderData(
        **PLACE,
        message={"reasoning_content": "hm", "role": "system"},
        calls=({"extra_content": 1, "id": "other"}, {"function": {"seal": "s", "name": "other"}}),
    )
    asked = [ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="g", arguments="{}")]
    message = Message(role="assistant", content="x", tool_calls=tuple(asked), provider_data=data)
    wire = message.to_openai()
    before = json.dumps(wire)
    sent = with_provider_data(wire, message)
    assert json.dumps(wire) == before, "it may be used for another request"
    assert (sent["reasoning_content"], sent["role"], sent["content"]) == ("hm", "assistant", "x")
    first, second = sent["tool_calls"]
    assert first == {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": 1}
    assert second["function"] == {"seal": "s", "name": "g", "arguments": "{}"}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=6), _json, max_size=3), max_size=5))
def test_any_deltas_give_what_json_can_say_or_nothing(deltas):
    data = collected(*deltas, calls=[deltas])
    assert data is None or json.loads(json.dumps(data.to_json())) is not None
