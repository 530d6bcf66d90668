"""The seal of an exported state: what it refuses, how long it holds, and what has room in it."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.test import override_settings
from hypothesis import assume, given
from hypothesis import strategies as st

from myagent.messages import Message, ToolCall
from myagent.protocol.error_codes import ProtocolError
from sessions_app.state_export.seal import (
    LIMIT_BYTES,
    MAX_AGE,
    SavedState,
    close_calls,
    cut,
    message_size,
    seal,
    size_of,
    unseal,
)
from tests.support.entries import assert_model_takes

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
PARTS = ("state", "timestamp", "signature", "version", "checksum")
CALL = ToolCall(id="call_1", name="weather", arguments='{"city": "北京"}')
EXCHANGE = [
    Message.user([{"type": "text", "text": "How is it?"}, {"type": "image_url", "image_url": {"url": "data:,x"}}]),
    Message.assistant("", [CALL]),
    Message.tool("sunny, 21 °C", tool_call_id="call_1"),
    Message.assistant('It is "sunny"\n\u2028 🌞'),
]


def saved(**changes) -> SavedState:
    given = {
        "session_id": uuid.UUID(int=7),
        "user": "ann",
        "agent": "weather",
        "title": "A trip",
        "metadata": {"page": {"number": 1.0, "big": 2**63}},
        "tool_state": {"words": ["一", None, True, 1e300]},
        "messages": EXCHANGE,
        "last_seq": 12,
        "step": 2,
    }
    return SavedState(**(given | changes))


SEALED = seal(saved(), NOW)


def refused(sealed, *, user="ann", now=NOW) -> str:
    """The reason for which a state is refused."""
    with pytest.raises(ProtocolError) as raised:
        unseal(sealed, user=user, now=now)
    assert (raised.value.code, raised.value.event) == ("invalid_state", "system.error")
    assert str(raised.value)
    return raised.value.data["reason"]


# --- the seal ---


def test_it_holds_what_was_put_in():
    assert unseal(SEALED, user="ann", now=NOW) == saved()
    assert set(SEALED) == set(PARTS)
    assert all(isinstance(part, str) for part in SEALED.values())


def test_it_survives_what_other_json_libraries_do():
    pretty = json.loads(json.dumps(SEALED, indent=4, ensure_ascii=True, sort_keys=True))
    assert unseal({**pretty, "added by a client": 1}, user="ann", now=NOW) == saved()


def test_deep_state_of_tools_is_no_deep_frame():
    deep: dict = {}
    for _ in range(200):
        deep = {"more": deep}
    sealed = seal(saved(tool_state=deep), NOW)
    assert unseal(sealed, user="ann", now=NOW).tool_state == deep


def test_what_is_too_deep_to_be_written_is_refused():
    deep: dict = {}
    for _ in range(300):
        deep = {"more": deep}
    with pytest.raises(ProtocolError) as raised:
        seal(saved(tool_state=deep), NOW)
    assert raised.value.code == "state_too_large"


@pytest.mark.parametrize("sealed", [None, 5, "x", "", [], {}, [SEALED], *({**SEALED, part: None} for part in PARTS)])
def test_what_is_no_state(sealed):
    assert refused(sealed) == "malformed"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_missing(part):
    assert refused({name: text for name, text in SEALED.items() if name != part}) == "malformed"


@given(st.sampled_from(PARTS), st.data())
def test_no_character_can_be_changed(part, data):
    text = SEALED[part]
    at = data.draw(st.integers(0, len(text)))
    how = data.draw(st.sampled_from(["replace", "insert", "remove"]))
    new = data.draw(st.characters(exclude_categories=["Cs"]))
    changed = {
        "replace": text[:at] + new + text[at + 1 :],
        "insert": text[:at] + new + text[at:],
        "remove": text[:at] + text[at + 1 :],
    }[how]
    if changed != text:
        assert refused({**SEALED, part: changed}) == ("version" if part == "version" else "altered")


@given(st.sampled_from(PARTS), st.text(max_size=50))
def test_no_part_can_be_another_text(part, text):
    assume(text != SEALED[part])
    assert refused({**SEALED, part: text}) == ("version" if part == "version" else "altered")


@pytest.mark.parametrize("part", [part for part in PARTS if part != "version"])
def test_parts_of_two_states_do_not_mix(part):
    other = seal(saved(title="Another"), NOW + timedelta(seconds=1))
    assert refused({**SEALED, part: other[part]}) == "altered"


def test_parts_cannot_change_places():
    moved = f"{SEALED['timestamp']}\n{SEALED['checksum']}"
    assert refused({**SEALED, "timestamp": moved, "checksum": ""}) == "altered"
    assert refused({**SEALED, "timestamp": "", "checksum": moved}) == "altered"


@pytest.mark.parametrize("field", orjson.loads(SEALED["state"]))
def test_no_field_can_be_changed_with_a_new_checksum(field):
    text = orjson.dumps(orjson.loads(SEALED["state"]) | {field: "forged"}).decode()
    assert refused({**SEALED, "state": text, "checksum": hashlib.sha256(text.encode()).hexdigest()}) == "altered"


# --- time, secrets, users, releases ---


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=6), MAX_AGE, -timedelta(minutes=5)])
def test_it_is_good_for_seven_days(age):
    assert unseal(SEALED, user="ann", now=NOW + age) == saved()


@pytest.mark.parametrize("age", [MAX_AGE + timedelta(milliseconds=1), timedelta(days=400)])
def test_it_expires(age):
    assert refused(SEALED, now=NOW + age) == "expired"


def test_another_secret_does_not_know_it():
    with override_settings(SECRET_KEY="another"):
        assert refused(SEALED) == "altered"


def test_an_old_secret_still_counts():
    with override_settings(SECRET_KEY="first"):
        sealed = seal(saved(), NOW)
    with override_settings(SECRET_KEY="third", SECRET_KEY_FALLBACKS=["second", "first"]):
        assert unseal(sealed, user="ann", now=NOW) == saved()
        renewed = seal(saved(), NOW)
    with override_settings(SECRET_KEY="third", SECRET_KEY_FALLBACKS=["second"]):
        assert refused(sealed) == "altered"
        assert unseal(renewed, user="ann", now=NOW) == saved()


@pytest.mark.parametrize(
    ("bound", "caller"),
    [("ann", "bob"), ("ann", None), ("ann", "Ann"), (None, "ann"), (None, "anonymous"), ("anonymous", None)],
)
def test_it_is_bound_to_its_user(bound, caller):
    assert refused(seal(saved(user=bound), NOW), user=caller) == "other_user"


def test_anybody_may_use_a_state_of_nobody():
    assert unseal(seal(saved(user=None), NOW), user=None, now=NOW).user is None


def test_another_version_is_told_before_anything_else():
    assert refused({**dict.fromkeys(PARTS, ""), "version": "2"}) == "version"


def test_what_another_release_signed_is_no_traceback(monkeypatch):
    monkeypatch.setattr("sessions_app.state_export.seal.orjson.dumps", lambda *_: b'{"session_id": 5}')
    sealed = seal(saved(), NOW)
    monkeypatch.undo()
    assert refused(sealed) == "version"


def test_secrets_stay_outside(settings):
    assert settings.SECRET_KEY not in json.dumps(SEALED)


# --- what has room ---


def exchange(number: int, size: int = 10, calls: int = 0) -> list[Message]:
    asked = [ToolCall(id=f"{number}-{index}", name="t", arguments="{}") for index in range(calls)]
    results = [Message.tool('"' * size, tool_call_id=call.id) for call in asked]
    middle = [Message.assistant("", asked), *results] if calls else []
    return [Message.user(f"question {number}"), *middle, Message.assistant("天" * size)]


def test_what_fits_stays():
    assert cut(saved(), NOW) == saved()
    assert cut(saved(messages=[]), NOW) == saved(messages=[])
    assert cut(saved(is_cut=True), NOW).is_cut


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 2)), max_size=8), st.integers(700, 4000))
def test_the_newest_whole_exchanges_that_fit_are_kept(sizes, limit):
    exchanges = [exchange(number, size, calls) for number, (size, calls) in enumerate(sizes)]
    whole = saved(messages=[message for item in exchanges for message in item])
    left = cut(whole, NOW, limit)
    starts = [[message for item in exchanges[at:] for message in item] for at in range(len(exchanges) + 1)]
    assert list(left.messages) in starts
    assert left.is_cut == (len(left.messages) < len(whole.messages))
    assert size_of(seal(left, NOW)) <= limit
    # The next older one would have been too much; a byte of `is_cut` is the tolerance.
    if left.is_cut:
        more = starts[starts.index(list(left.messages)) - 1]
        assert size_of(seal(saved(messages=more), NOW)) + 2 > limit


def test_an_exchange_that_is_too_large_by_itself_is_left_out():
    left = cut(saved(messages=[*exchange(1), *exchange(2, LIMIT_BYTES)]), NOW)
    assert (list(left.messages), left.is_cut) == ([], True)


@pytest.mark.parametrize("where", ["tool_state", "metadata"])
def test_what_is_no_message_has_to_fit(where):
    with pytest.raises(ProtocolError) as raised:
        cut(saved(**{where: {"much": "x" * LIMIT_BYTES}}), NOW)
    assert raised.value.code == "state_too_large"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_the_size_of_a_message_is_what_it_adds(text):
    one, two = saved(messages=[Message.user("a")]), saved(messages=[Message.user("a"), Message.user(text)])
    assert size_of(seal(two, NOW)) - size_of(seal(one, NOW)) == message_size(Message.user(text))


# --- calls without results ---


def test_every_call_gets_a_result_in_the_order_of_the_calls(in_english):
    calls = [ToolCall(id=name, name="t", arguments="{}") for name in "abc"]
    history = [Message.user("x"), Message.assistant("", calls), Message.tool("B", tool_call_id="b")]
    for rest in ([], [Message.user("queued")]):
        closed = close_calls([*history, *rest])
        assert_model_takes(closed)
        assert [message.tool_call_id for message in closed if message.role == "tool"] == ["a", "b", "c"]
        assert [message.text for message in closed if message.tool_call_id == "b"] == ["B"]
        assert "unknown" in closed[2].text


def test_a_history_without_open_calls_stays_as_it_is():
    assert close_calls(EXCHANGE) == EXCHANGE
    assert close_calls([]) == []
    partial = EXCHANGE[2:]
    assert close_calls(partial) == partial


@pytest.mark.parametrize(
    ("messages", "is_answered"), [([], True), (EXCHANGE, True), *[(EXCHANGE[:n], False) for n in (1, 2, 3)]]
)
def test_who_had_the_last_word(messages, is_answered):
    assert saved(messages=messages).is_answered is is_answered
