"""What a client may send, and how leniently it is read."""

from typing import get_args

import orjson
import pytest

from myagent.protocol import client_events as events
from myagent.protocol.codec import CLIENT_EVENT_NAMES, parse_frame
from myagent.protocol.error_codes import ErrorCode, ProtocolError

pytestmark = pytest.mark.usefixtures("in_english")

S = "7f6f0f7e-8f2d-4d63-8a3b-0d6c52b4c111"


LARGE = {"metadata": {"x": "中" * 21_846}}
"""Just over 64 KiB as JSON."""


def parse(event, **fields):
    return parse_frame(orjson.dumps({"event": f"user.{event}", **fields}).decode())


def refused(event, **fields):
    with pytest.raises(ProtocolError) as error:
        parse(event, **fields)
    assert error.value.event == "system.error"
    assert error.value.request == f"user.{event}"
    return error.value.code


def test_every_class_of_the_union_has_a_name_of_its_own():
    kinds = get_args(get_args(events.AnyClientEvent)[0])
    assert len(CLIENT_EVENT_NAMES) == len(kinds) == 20
    assert all(name.startswith("user.") for name in CLIENT_EVENT_NAMES)


def test_unknown_keys_and_timestamps_do_not_matter():
    event = parse("cancel", session_id=S, timestamp=12, whatever={"a": 1})
    assert event == events.UserCancel(session_id=S)


@pytest.mark.parametrize("metadata", [None, {}, {"request_id": 7}, {"request_id": None}])
def test_a_request_without_a_usable_request_id(metadata):
    assert parse("cancel", session_id=S, metadata=metadata).request_id is None


def test_the_request_id_is_any_text():
    assert parse("cancel", session_id=S, metadata={"request_id": "a\x00"}).request_id == "a\x00"


@pytest.mark.parametrize(
    "name",
    [
        "message",
        "response",
        "cancel",
        "reconnect",
        "request_state",
        "close_session",
        "update_session",
        "delete_session",
    ],
)
@pytest.mark.parametrize("session_id", [None, 5, {}])
def test_a_session_is_named_by_text(name, session_id):
    fields = {"content": {"confirmed": True, "title": "x", "text": "x"}, "step_id": "s"}
    assert refused(name, session_id=session_id, **fields) in (ErrorCode.BAD_FIELD, ErrorCode.MISSING_FIELD)
    assert refused(name, **fields) == ErrorCode.MISSING_FIELD


# --- create, update, list ---


@pytest.mark.parametrize("content", [None, "x", 5, [], [1], {}, {"agent": None}, {"other": 1}])
def test_content_of_create_session_may_be_anything(content):
    event = parse("create_session", content=content)
    assert (event.agent, event.title, event.session_metadata) == (None, "", {})


def test_create_session_reads_its_content_alone():
    content = {"agent": "weather", "title": "T", "metadata": {"a": None}}
    event = parse("create_session", content=content, agent="other", title="other", metadata={"request_id": "r"})
    assert (event.agent, event.title, event.session_metadata) == ("weather", "T", {"a": None})
    assert event.request_id == "r"


@pytest.mark.parametrize("content", [{"agent": 5}, {"title": "x" * 201}, {"title": 5}, {"metadata": "x"}, LARGE])
def test_create_session_refuses_what_it_cannot_keep(content):
    assert refused("create_session", content=content) == ErrorCode.BAD_FIELD


@pytest.mark.parametrize("content", [None, "x", {}, {"name": "x"}])
def test_update_session_needs_something_to_change(content):
    assert refused("update_session", session_id=S, content=content) == ErrorCode.MISSING_FIELD


def test_update_session_may_change_one_thing():
    event = parse("update_session", session_id=S, content={"title": ""})
    assert (event.title, event.session_metadata) == ("", None)
    event = parse("update_session", session_id=S, content={"metadata": {}})
    assert (event.title, event.session_metadata) == (None, {})


@pytest.mark.parametrize("limit", [0, 101, 1.5, "5", True])
def test_the_length_of_a_list_has_limits(limit):
    assert refused("list_sessions", content={"limit": limit}) == ErrorCode.BAD_FIELD


def test_a_list_needs_nothing():
    event = parse("list_sessions")
    assert (event.agent, event.query, event.before, event.limit) == (None, None, None, 20)
    assert parse("list_sessions", content={"query": "x", "limit": 3}).limit == 3


# --- messages ---


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("hi", "hi"),
        ({"text": "hi"}, "hi"),
        ({"question": "hi", "text": None}, "hi"),
        ({"content": "hi"}, "hi"),
        ([{"type": "text", "text": "hi", "extra": 1}], [{"type": "text", "text": "hi"}]),
        (
            [{"type": "image_url", "image_url": "data:x"}],
            [{"type": "image_url", "image_url": {"url": "data:x"}}],
        ),
        (
            [{"type": "image_url", "image_url": {"url": "u", "detail": "low"}}],
            [{"type": "image_url", "image_url": {"url": "u", "detail": "low"}}],
        ),
    ],
)
def test_the_shapes_of_a_message(content, read):
    assert parse("message", session_id=S, content=content).content == read


@pytest.mark.parametrize(
    "content", [None, 5, True, {}, {"text": 5}, [1], [{"type": "text"}], [{"type": "audio"}], [{"text": "x"}], [[]]]
)
def test_what_is_no_message(content):
    assert refused("message", session_id=S, content=content) == ErrorCode.BAD_FIELD


def test_a_message_without_content():
    assert refused("message", session_id=S) == ErrorCode.MISSING_FIELD


@pytest.mark.parametrize(
    ("content", "blank"),
    [
        ("", True),
        (" \n\t\u3000", True),
        ("x", False),
        ([], True),
        ([{"type": "text", "text": " "}], True),
        ([{"type": "text", "text": " "}, {"type": "image_url", "image_url": "u"}], False),
    ],
)
def test_blank_messages_are_seen(content, blank):
    assert parse("message", session_id=S, content=content).is_blank is blank


@pytest.mark.parametrize("message_id", [5, ["x"], "x" * 201, True])
def test_a_bad_message_id_is_refused(message_id):
    assert refused("message", session_id=S, content="x", metadata={"message_id": message_id}) == ErrorCode.BAD_FIELD


@pytest.mark.parametrize(("given", "read"), [(None, None), ("", None), ("m", "m")])
def test_message_ids(given, read):
    assert parse("message", session_id=S, content="x", metadata={"message_id": given}).message_id == read


# --- answers: anything unclear is no consent ---


@pytest.mark.parametrize(
    ("content", "confirmed"),
    [
        (True, True),
        (False, False),
        ({"confirmed": True}, True),
        ({"approved": False}, False),
        ({"confirmed": True, "approved": True}, True),
    ],
)
def test_a_clear_answer(content, confirmed):
    event = parse("response", session_id=S, step_id="s", content=content)
    assert (event.confirmed, event.args, event.tasks, event.reason) == (confirmed, None, None, None)


@pytest.mark.parametrize(
    "content",
    [
        None, 1, "yes", "true", {}, [], [True], {"confirmed": "true"}, {"confirmed": 1}, {"confirmed": None},
        {"confirmed": True, "approved": False}, {"confirmed": True, "approved": None},
        {"confirmed": True, "approved": 1},
        {"Confirmed": True}, {"args": {"a": 1}}, {"confirmed": True, "args": []}, {"confirmed": True, "reason": 5},
    ],
)  # fmt: skip
def test_an_unclear_answer_is_refused(content):
    assert refused("response", session_id=S, step_id="s", content=content) == ErrorCode.BAD_FIELD


def test_an_answer_with_more_to_it():
    content = {"confirmed": True, "args": {"a": None}, "tasks": [1], "reason": "because"}
    event = parse("response", session_id=S, step_id="s", content=content, confirmed=False)
    assert (event.confirmed, event.args, event.tasks, event.reason) == (True, {"a": None}, [1], "because")


def test_an_answer_names_its_question():
    assert refused("response", session_id=S, content=True) == ErrorCode.MISSING_FIELD


# --- cursors ---

CURSORS = [
    ({}, 0),
    ({"last_seq": 3}, 3),
    ({"last_seq": 3.0}, 3),
    ({"last_seq": 0}, 0),
    ({"last_seq": None}, 0),
    ({"last_event_id": f"{S}-7"}, 7),
    ({"last_event_id": f"{S}-7", "last_seq": 3}, 7),
    ({"last_event_id": "", "last_seq": 3}, 3),
    ({"content": {"last_seq": 4}}, 4),
    ({"content": {"last_event_id": f"{S}-5"}}, 5),
    ({"content": {"last_seq": 4}, "last_seq": None}, 4),
    ({"content": "x"}, 0),
]


@pytest.mark.parametrize(("fields", "after"), CURSORS)
def test_a_cursor(fields, after):
    assert parse("reconnect", session_id=S, **fields).after == after
    assert parse("reconnect_with_state", signed_state={}, **fields).after == after


def test_the_session_may_stand_in_content():
    assert parse("reconnect", content={"session_id": S, "last_seq": 2}).session_id == S


@pytest.mark.parametrize(
    "fields",
    [
        {"last_seq": -1}, {"last_seq": "3"}, {"last_seq": True}, {"last_seq": 1.5}, {"last_seq": 2**63},
        {"last_seq": []},
        {"last_seq": 1e300}, {"last_event_id": "x"}, {"last_event_id": 5}, {"last_event_id": f"other{S}-5"},
        {"last_event_id": f"{S}--5"},
    ],
)  # fmt: skip
def test_a_bad_cursor_is_refused(fields):
    assert refused("reconnect", session_id=S, **fields) == ErrorCode.BAD_FIELD


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ({"session_id": S, "content": 5}, 5),
        ({"session_id": S, "content": 5.0}, 5),
        ({"session_id": S, "content": 5, "last_seq": None}, 5),
        ({"session_id": S, "seq": 6}, 6),
        ({"session_id": S, "seq": 6, "last_seq": None}, 6),
        ({"session_id": S, "content": {"seq": 7}}, 7),
        ({"session_id": S, "content": {"seq": 7}, "last_seq": None}, 7),
        ({"session_id": S, "content": {"last_seq": 8}}, 8),
        ({"session_id": S, "last_seq": 9}, 9),
        ({"last_event_id": f"{S}-10"}, 10),
        ({"content": {"last_event_id": f"{S}-11"}}, 11),
        ({"content": {"session_id": S, "last_seq": 12}}, 12),
    ],
)
def test_an_acknowledgement(fields, after):
    event = parse("ack", **fields)
    assert (event.session_id, event.seq) == (S, after)


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"session_id": S}, {"content": 5}, {"content": True}, {"content": {}}, {"last_seq": 5},
        {"metadata": {"last_seq": 5, "session_id": S}}, {"metadata": "x", "last_seq": 5}, {"metadata": None},
        {"session_id": 5, "last_seq": 5}, {"session_id": S, "last_seq": -1}, {"session_id": S, "last_seq": 1.5},
        {"session_id": S, "last_seq": True}, {"session_id": S, "last_seq": "5"}, {"session_id": S, "content": [5]},
        {"session_id": S, "content": 1e300}, {"session_id": S, "seq": 2**63}, {"session_id": S, "seq": {}},
        {"session_id": S, "content": f"{S}-5"}, {"last_event_id": "rubbish"}, {"last_event_id": 5},
        {"last_event_id": []}, {"last_event_id": {"a": 1}}, {"session_id": "other", "last_event_id": f"{S}-5"},
        {"content": {"last_event_id": f"{S}-{10**30}"}}, {"content": {"last_event_id": ""}},
    ],
)  # fmt: skip
def test_an_acknowledgement_of_nothing(fields):
    event = parse("ack", **fields)
    assert (event.session_id, event.seq) == (None, None)


# --- plans ---


@pytest.mark.parametrize("name", ["solve_tasks", "cancel_task", "restart_task", "cancel_plan", "replan"])
def test_events_of_plans_are_understood(name):
    assert parse(name, session_id=S, content=["anything"]).session_id == S
    assert parse(name).session_id is None


def test_metadata_of_a_session_has_64_kib():
    largest = {"x": "a" * (64 * 1024 - len('{"x":""}'))}
    assert parse("create_session", content={"metadata": largest}).session_metadata == largest
    for event in ("create_session", "update_session"):
        assert refused(event, session_id=S, content={"metadata": largest | {"y": 1}}) == ErrorCode.BAD_FIELD
        assert refused(event, session_id=S, content=LARGE) == ErrorCode.BAD_FIELD


def test_a_message_has_a_thousand_parts():
    part = {"type": "text", "text": "a"}
    assert len(parse("message", session_id=S, content=[part] * 1_000).content) == 1_000
    assert refused("message", session_id=S, content=[part] * 1_001) == ErrorCode.BAD_FIELD
