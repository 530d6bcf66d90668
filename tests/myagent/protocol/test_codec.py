"""Frames to events and back."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.codec import CLIENT_EVENT_NAMES, encode, parse_frame, refusal_event, timestamp
from myagent.protocol.direct_events import NoticeMetadata, RequestError, SystemError, SystemNotice
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.server_events import PartialAnswer, PartialMetadata, ToolCalled, ToolCallMetadata

S = "7f6f0f7e-8f2d-4d63-8a3b-0d6c52b4c111"

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "session_id", "content", "metadata", "step_id", "last_seq", "last_event_id", "seq", "signed_state",
        "message_id", "request_id", "confirmed", "approved", "text", "type", "image_url", "url", "args", "tasks",
        "reason", "title", "agent", "limit", "before", "query",
    ]
)  # fmt: skip
SOME_FIELDS = st.dictionaries(FIELDS, JSON, max_size=4)
REQUESTS = st.fixed_dictionaries(
    {"event": st.sampled_from(sorted(CLIENT_EVENT_NAMES)) | JSON},
    optional={
        "session_id": st.just(S) | JSON,
        "content": SOME_FIELDS | st.lists(SOME_FIELDS, max_size=4) | JSON,
        "metadata": SOME_FIELDS | JSON,
        "step_id": JSON,
        "seq": JSON,
        "last_seq": JSON,
        "last_event_id": st.just(f"{S}-5") | JSON,
        "signed_state": JSON,
    },
)


def code(frame):
    with pytest.raises(ProtocolError) as error:
        parse_frame(frame)
    assert error.value.event == "system.error"
    return error.value.code


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("", ErrorCode.BAD_JSON),
        ("hello", ErrorCode.BAD_JSON),
        ("{", ErrorCode.BAD_JSON),
        ('{"event": "user.cancel"} trailing', ErrorCode.BAD_JSON),
        ('{"a": NaN}', ErrorCode.BAD_JSON),
        ('"\\ud800"', ErrorCode.BAD_JSON),
        ("\ud800", ErrorCode.BAD_JSON),
        ("[" * 100_000, ErrorCode.BAD_JSON),
        ("[1]", ErrorCode.BAD_FRAME),
        ("null", ErrorCode.BAD_FRAME),
        ('"user.cancel"', ErrorCode.BAD_FRAME),
        (b"{}", ErrorCode.BAD_FRAME),
        (b"", ErrorCode.BAD_FRAME),
        ("{}", ErrorCode.MISSING_FIELD),
        ('{"event": null}', ErrorCode.MISSING_FIELD),
        ('{"event": 5}', ErrorCode.UNKNOWN_EVENT),
        ('{"event": ["user.cancel"]}', ErrorCode.UNKNOWN_EVENT),
        ('{"event": "user.dance"}', ErrorCode.UNKNOWN_EVENT),
        ('{"event": "agent.final_answer"}', ErrorCode.UNKNOWN_EVENT),
        ('{"event": "user.cancel"}', ErrorCode.MISSING_FIELD),
        ('{"event": "user.cancel", "session_id": 5}', ErrorCode.BAD_FIELD),
        ('{"event": "user.cancel", "session_id": "s", "metadata": 5}', ErrorCode.BAD_FIELD),
    ],
)
def test_what_is_no_request(frame, expected):
    assert code(frame) == expected


@pytest.mark.parametrize("depth", [101, 900, 100_000])
def test_what_is_nested_too_deeply_is_refused(depth):
    nested = "[" * depth + "]" * depth
    frame = f'{{"event": "user.update_session", "session_id": "{S}", "content": {{"metadata": {{"a": {nested}}}}}}}'
    assert code(frame) == ErrorCode.BAD_JSON


def test_what_many_brackets_side_by_side_hold_is_taken():
    nested = "[" + ",".join(["{}"] * 500) + "]"
    frame = f'{{"event": "user.update_session", "session_id": "{S}", "content": {{"metadata": {{"a": {nested}}}}}}}'
    assert parse_frame(frame).session_metadata == {"a": [{}] * 500}


def test_a_refusal_tells_which_request_it_answers():
    with pytest.raises(ProtocolError) as error:
        parse_frame('{"event": "user.cancel", "metadata": {"request_id": "r"}}')
    assert (error.value.request, error.value.request_id) == ("user.cancel", "r")
    assert "session_id" in str(error.value)


def test_a_refusal_is_short_however_long_the_request_is():
    with pytest.raises(ProtocolError) as error:
        parse_frame(orjson.dumps({"event": "x" * 100_000}).decode())
    assert len(str(error.value)) <= 2000


@given(st.text() | JSON.map(lambda value: orjson.dumps(value).decode()))
def test_whatever_comes_is_an_event_or_refused(frame):
    _parse(frame)


@example({"event": "user.response", "session_id": S, "content": {"confirmed": 1.0}})
@given(REQUESTS)
def test_whatever_request_comes_is_an_event_or_refused(request_fields):
    event = _parse(orjson.dumps(request_fields).decode())
    if event is not None:
        assert event.event == request_fields["event"]
        assert getattr(event, "after", 0) >= 0


# What must not be stored, and what looks like it: escapes, escaped backslashes, both halves of a pair.
TRICKY = st.text(st.sampled_from(["\x00", "\ud83d", "\ude00", "\\", "u", "0", "a", "é", "😀"]), max_size=8)
TRICKY_JSON = st.recursive(
    TRICKY | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TRICKY | FIELDS, inner, max_size=3),
    max_leaves=8,
)
TRICKY_FIELDS = st.dictionaries(FIELDS | TRICKY, TRICKY_JSON | TRICKY, max_size=4)
TRICKY_REQUESTS = st.one_of(
    st.fixed_dictionaries({"event": st.just("user.message"), "session_id": TRICKY, "content": TRICKY | TRICKY_JSON}),
    st.fixed_dictionaries(
        {"event": st.just("user.response"), "session_id": TRICKY, "step_id": TRICKY},
        optional={"content": TRICKY_FIELDS.map(lambda fields: {**fields, "confirmed": True})},
    ),
    st.fixed_dictionaries(
        {"event": st.sampled_from(sorted(CLIENT_EVENT_NAMES)), "session_id": TRICKY},
        optional={"content": TRICKY_FIELDS, "metadata": TRICKY_FIELDS, "signed_state": TRICKY_FIELDS},
    ),
)


def texts_in(value):
    """Every text in a JSON value, keys as well."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_in(key)
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def is_storable(text):
    """Whether PostgreSQL takes it, as text and within JSON."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


@example({"event": "user.message", "session_id": S, "content": "a\x00"}, True)
@example({"event": "user.message", "session_id": S, "content": "\ud800"}, True)
@example({"event": "user.message", "session_id": S, "content": "a", "metadata": {"message_id": "\x00"}}, True)
@example({"event": "user.create_session", "content": {"title": "\x00", "metadata": {"\x00": ["\x00"]}}}, False)
@example({"event": "user.response", "session_id": S, "step_id": "\x00", "content": {"confirmed": True}}, True)
@given(TRICKY_REQUESTS, st.booleans())
def test_nothing_that_a_database_refuses_gets_past_the_codec(request_fields, is_ascii):
    event = _parse(json.dumps(request_fields, ensure_ascii=is_ascii))
    if event is not None:
        fields = event.model_dump()
        fields["metadata"].pop("request_id", None)  # kept as it came, and stored in no column of its own
        assert all(map(is_storable, texts_in(fields)))


def test_text_that_can_be_stored_comes_through_unchanged():
    content = "a \\u0000 \\ud83d 😀 é \n"
    event = _parse(json.dumps({"event": "user.message", "session_id": S, "content": content}))
    assert event.content == content


def test_a_request_id_comes_back_as_it_was_sent():
    """Clients find the request of an answer by it."""
    metadata = {"request_id": "r\x00", "message_id": "m\x00"}
    event = parse_frame(json.dumps({"event": "user.cancel", "session_id": S, "metadata": metadata}))
    assert (event.request_id, event.metadata["message_id"]) == ("r\x00", "m\ufffd")


def _parse(frame):
    try:
        event = parse_frame(frame)
    except ProtocolError as refusal:
        told = orjson.loads(encode(refusal_event(refusal), request_id=refusal.request_id))
        assert told["event"] == "system.error"
        assert told["content"]
        assert told["metadata"]["code"] == refusal.code
        return None
    assert isinstance(event, ClientEvent)
    return event


# --- what goes out ---


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 0, UTC), "2026-01-02T03:04:05.000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 999_999, timezone(timedelta(hours=8))), "2026-01-01T19:04:05.999Z"),
    ],
)
def test_timestamps_are_utc_with_milliseconds(moment, text):
    assert timestamp(moment) == text


def test_now_is_a_timestamp_too():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", timestamp())
    assert abs(datetime.fromisoformat(timestamp()) - datetime.now(UTC)) < timedelta(minutes=1)


def partial():
    return PartialAnswer(step_id="s", content="x\x00é\u2028", metadata=PartialMetadata(run_id="r", step=1, index=0))


def test_the_envelope_of_a_logged_event():
    frame = encode(partial(), session_id=S, seq=7, at="2026-01-02T03:04:05.678Z")
    assert orjson.loads(frame) == {
        "event": "agent.partial_answer",
        "timestamp": "2026-01-02T03:04:05.678Z",
        "session_id": S,
        "step_id": "s",
        "content": "x\x00é\u2028",
        "metadata": {"run_id": "r", "step": 1, "index": 0, "is_final": False},
        "seq": 7,
        "event_id": f"{S}-7",
    }
    assert "\x00" not in frame


def test_the_envelope_of_a_direct_event():
    notice = SystemNotice(content="ok", metadata=NoticeMetadata(action="accepted", position=0))
    frame = orjson.loads(encode(notice, session_id=S, request_id="r"))
    assert set(frame) == {"event", "timestamp", "session_id", "content", "metadata"}
    assert frame["metadata"] == {"action": "accepted", "position": 0, "request_id": "r"}
    assert set(orjson.loads(encode(notice))) == {"event", "timestamp", "content", "metadata"}


def test_only_fields_of_our_own_that_are_none_are_left_out():
    metadata = ToolCallMetadata(run_id="r", tool="t", args={"a": None, "b": [None]}, step=1, call_id="c")
    frame = orjson.loads(encode(ToolCalled(step_id="s", content="x", metadata=metadata)))
    assert frame["metadata"]["args"] == {"a": None, "b": [None]}


@pytest.mark.parametrize(("name", "kind"), [("system.error", SystemError), ("agent.error", RequestError)])
def test_a_refusal_as_an_event(name, kind):
    error = ProtocolError(ErrorCode.CURSOR_AHEAD, "too far", event=name, request="user.reconnect", last_seq=5)
    event = refusal_event(error)
    assert isinstance(event, kind)
    assert event.event == name
    assert orjson.loads(encode(event))["metadata"] == {
        "code": "cursor_ahead", "request": "user.reconnect", "last_seq": 5,
    }  # fmt: skip
