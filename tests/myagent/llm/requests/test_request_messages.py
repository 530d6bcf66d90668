"""What stands between a history and a request: any history becomes one that the strictest endpoint takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myagent.llm.requests.normal_form import NO_OUTPUT, NOTHING_SAID
from myagent.llm.requests.request_messages import (
    GO_ON,
    NO_RESULT,
    OPENING,
    PICTURES,
    RESULTS_SEEN,
    calls_in_words,
    normalise,
    without_tools_pictures,
)
from myagent.messages import Message, ProviderData, ToolCall
from tests.support.strict_endpoint import faults

HI = Message.user("hi")
ADDED = ProviderData(endpoint="https://e", model="m", message={"reasoning_content": "hm"}, size=30)
PICTURE = {"type": "image_url", "image_url": {"url": "data:,"}}


def asks(*ids: str, text: str = "", name: str = "look", arguments: str = "{}") -> Message:
    return Message.assistant(text, [ToolCall(id=each, name=name, arguments=arguments) for each in ids])


def result(call_id: str, text: str = "found") -> Message:
    return Message.tool(text, tool_call_id=call_id)


def said(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


# --- histories ---

# Words that tell one message from the other, and that are blank now and then.
_words = st.one_of(st.text(max_size=12), st.sampled_from(["", " ", "\n", "yes", "no", "{}"]))
_ids = st.one_of(st.sampled_from(["call_0", "call_1", "reserve:0", "", "é", "x" * 70]), st.text(max_size=5))
_names = st.one_of(st.sampled_from(["look", "multi.tool", "n" * 70, ""]), st.text(max_size=8))
_arguments = st.one_of(
    st.sampled_from(["{}", '{"a": 1}', "null", "", "[1]", '{"a": ', "words", '"{\\"a\\": 1}"', "NaN", "{'a': 1}"]),
    st.text(max_size=12),
)
_calls = st.builds(lambda i, n, a: ToolCall(id=i, name=n, arguments=a), _ids, _names, _arguments)
_parts = st.lists(st.one_of(st.just(PICTURE), st.builds(lambda t: {"type": "text", "text": t}, _words)), max_size=3)
_data = st.sampled_from([None, None, ADDED])
_messages = st.one_of(
    st.builds(Message.system, _words),
    st.builds(Message.user, st.one_of(_words, _parts)),
    st.builds(lambda t, d: Message(role="assistant", content=t, provider_data=d), _words, _data),
    st.builds(
        lambda t, c, d: Message(role="assistant", content=t, tool_calls=tuple(c), provider_data=d),
        _words,
        st.lists(_calls, max_size=3),
        _data,
    ),
    st.builds(lambda t, i: Message.tool(t, tool_call_id=i), _words, _ids),
)
_answered = st.builds(
    lambda calls, words: [
        Message.assistant("", calls),
        *(Message.tool(words, tool_call_id=call.id) for call in calls),
    ],
    st.lists(_calls, min_size=1, max_size=3),
    _words,
)
_histories = st.lists(st.one_of(_messages.map(lambda message: [message]), _answered), max_size=10).map(
    lambda groups: [message for group in groups for message in group]
)


def body(messages: list[Message]) -> dict[str, Any]:
    return {"messages": [message.to_openai() for message in normalise(messages)]}


@settings(max_examples=200, deadline=None)
@given(_histories)
def test_any_history_becomes_a_request_that_the_strictest_endpoint_takes(history):
    assert faults(body(history)) == []


@settings(max_examples=150, deadline=None)
@given(_histories)
def test_nothing_that_was_said_is_lost(history):
    told = "\n".join(
        text
        for message in body(history)["messages"]
        for text in (
            *([message["content"]] if isinstance(message["content"], str) else _texts(message["content"])),
            *(call["function"]["name"] for call in message.get("tool_calls", ())),
            *(call["function"]["arguments"] for call in message.get("tool_calls", ())),
        )
    )
    for message in history:
        assert all(text.strip() in told for text in message.text.split("\n"))
        for call in message.tool_calls:
            assert call.name in told or repr(call.name) in told
            given = call.arguments.strip()
            assert given in told or given == "null" or json.loads(json.loads(given)) == {"a": 1}


@settings(max_examples=150, deadline=None)
@given(_histories)
def test_the_history_itself_does_not_change(history):
    before = [message.to_openai() for message in history]
    first = normalise(history)
    assert [message.to_openai() for message in history] == before
    assert normalise(history) == first


@settings(max_examples=150, deadline=None)
@given(_histories, _histories)
def test_a_longer_history_changes_only_the_end_of_the_request(history, more):
    shorter, longer = normalise(history), normalise([*history, *more])
    # The last message may grow, and a call that is still open gets its result.
    settled = max((at for at, message in enumerate(shorter) if message.role != "tool"), default=0)
    if shorter[-1].text == GO_ON:
        settled -= 1
    while settled > 0 and shorter[settled].role in ("tool", "assistant") and shorter[settled].text == RESULTS_SEEN:
        settled -= 1
    assert longer[: max(settled, 0)] == shorter[: max(settled, 0)]


@settings(max_examples=200, deadline=None)
@given(_histories)
def test_additions_stay_with_their_message(history):
    kept = [message for message in history if message.provider_data and (message.tool_calls or message.text.strip())]
    sent = [message for message in normalise(history) if message.provider_data is not None]
    sent = [message for message in sent if message.text != NOTHING_SAID]
    assert [message.text.strip() and message.text for message in sent] == [
        message.text.strip() and message.text for message in kept
    ]
    assert all(message.provider_data == ADDED for message in sent)


def _texts(parts: Any) -> list[str]:
    return [part["text"] for part in parts if part["type"] == "text"]


# --- each kind by itself ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([HI], [("user", "hi")]),
        ([], [("user", GO_ON)]),
        ([HI, Message.user("ho")], [("user", "hi\n\nho")]),
        ([HI, Message.assistant(" "), Message.user("ho")], [("user", "hi\n\nho")]),
        ([Message.user(" ")], [("user", NOTHING_SAID)]),
        ([HI, asks("a"), result("a", "")], [("user", "hi"), ("assistant", ""), ("tool", NO_OUTPUT)]),
        ([HI, asks("a")], [("user", "hi"), ("assistant", ""), ("tool", NO_RESULT)]),
        (
            [HI, asks("a"), result("a"), Message.user("ho")],
            [("user", "hi"), ("assistant", ""), ("tool", "found"), ("assistant", RESULTS_SEEN), ("user", "ho")],
        ),
        (
            [HI, Message.assistant("one"), Message.assistant("two"), HI],
            [("user", "hi"), ("assistant", "one\n\ntwo"), ("user", "hi")],
        ),
        ([Message.assistant("one"), HI], [("user", OPENING), ("assistant", "one"), ("user", "hi")]),
        ([HI, Message.assistant("one")], [("user", "hi"), ("assistant", "one"), ("user", GO_ON)]),
        ([Message.system("a"), Message.system("b"), HI], [("system", "a\n\nb"), ("user", "hi")]),
        ([Message.system("a"), HI, Message.system("b")], [("system", "a"), ("user", "hi\n\nb")]),
        ([HI, result("lost")], [("user", "hi\n\n[The result of a tool] found")]),
    ],
)
def test_the_order_of_roles(history, expected):
    assert said(normalise(history)) == expected


def test_messages_with_additions_are_never_merged():
    one, two = (Message(role="assistant", content=text, provider_data=ADDED) for text in ("one", "two"))
    assert normalise([HI, one, two, HI]) == [HI, one, Message.user(GO_ON), two, HI]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{"a":  1 }', '{"a":  1 }'),
        ("", "{}"),
        (" null ", "{}"),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('{"a": [1, 2,],}', '{"a": [1, 2]}'),
        ('{"a": "one\ntwo"}', '{"a": "one\\ntwo"}'),
        ('```json\n{"a": "é"}\n```', '{"a": "é"}'),
    ],
)
def test_arguments_that_are_clear_stay_or_are_mended_without_a_word(arguments, sent):
    _, call, found = normalise([HI, asks("a", arguments=arguments), result("a")])
    assert call.tool_calls[0].arguments == sent
    assert found.text == "found"


@pytest.mark.parametrize("arguments", ['{"a": ', "some words", "[1]", "7", '"text"', "{'a': 1}", '{"a": NaN}'])
def test_of_broken_arguments_the_result_tells(arguments):
    _, call, found = normalise([HI, asks("a", arguments=arguments), result("a")])
    assert call.tool_calls[0].arguments == "{}"
    assert found.text.startswith("found\n") and arguments in found.text


@pytest.mark.parametrize(
    ("name", "sent"),
    [("look-up_2", "look-up_2"), ("multi_tool.parallel", "multi_tool_parallel"), ("n" * 70, "n" * 64), ("", "unnamed")],
)
def test_names_are_made_plain(name, sent):
    _, call, found = normalise([HI, asks("a", name=name), result("a")])
    assert call.tool_calls[0].name == sent
    assert (repr(name) in found.text) == (name != sent)


def test_ids_are_told_apart_and_the_results_follow_them():
    history = [HI, asks("a", "a"), result("a", "one"), result("a", "two"), HI, asks("a"), result("a", "three")]
    sent = normalise(history)
    calls = [call.id for message in sent for call in message.tool_calls]
    assert calls[0] == "a" and len(set(calls)) == 3
    assert [(m.tool_call_id, m.text) for m in sent if m.role == "tool"] == list(
        zip(calls, ["one", "two", "three"], strict=True)
    )


def test_results_stand_in_the_order_of_their_calls():
    sent = normalise([HI, asks("a", "b"), result("b", "two"), result("a", "one")])
    assert [message.text for message in sent[2:]] == ["one", "two"]


def test_parts_without_words_are_left_out_and_pictures_stay():
    parts = [{"type": "text", "text": " "}, PICTURE]
    sent = normalise([Message.user(parts), Message.user("look")])
    assert sent[0].content == [PICTURE, {"type": "text", "text": "look"}]


def test_calls_can_be_told_in_words():
    kept = Message(role="assistant", tool_calls=asks("b").tool_calls, provider_data=ADDED)
    history = [HI, asks("a", text="Well.", arguments='{"x": 1}'), result("a"), kept, result("b")]
    told = normalise(calls_in_words(history, keep=lambda message: message.provider_data is not None))
    assert said(told) == [
        ("user", "hi"),
        ("assistant", 'Well.\n[I called look with {"x": 1}]'),
        ("user", "[The result of look] found"),
        ("assistant", ""),
        ("tool", "found"),
    ]
    assert told[3].provider_data == ADDED


def test_what_was_found_out_about_a_message_is_remembered_with_it(monkeypatch):
    history = [HI, asks("a", name="b.c"), result("a"), Message.assistant("done")]
    first = normalise(history)
    monkeypatch.setattr("myagent.llm.requests.normal_form._find_out", None)
    assert normalise(history) == first
    with pytest.raises(TypeError):
        normalise([*history, Message.user("new")])


def pictured(call_id: str, text: str = "plotted") -> Message:
    return Message.tool([{"type": "text", "text": text}, PICTURE], tool_call_id=call_id)


@pytest.mark.parametrize(
    ("results", "behind"),
    [
        ([pictured("a"), result("b")], [[{"type": "text", "text": PICTURES.format(name="look")}, PICTURE]]),
        ([result("a"), pictured("b", "")], [[{"type": "text", "text": PICTURES.format(name="look")}, PICTURE]]),
        ([result("a"), result("b")], []),
    ],
)
@pytest.mark.parametrize("after", [[], [Message.assistant("I see.")], [Message.assistant("I see."), HI]])
def test_pictures_of_results_follow_all_results_in_a_users_message(results, behind, after):
    sent = normalise([HI, asks("a", "b"), *results, *after])
    assert faults({"messages": [message.to_openai() for message in sent]}) == []
    assert [message.role for message in sent[2:4]] == ["tool", "tool"]
    assert all(isinstance(message.content, str) for message in sent if message.role == "tool")
    assert [message.content for message in sent if message.pictures] == behind
    if behind:
        assert [message.role for message in sent[4:6]] == ["assistant", "user"]


def test_what_follows_pictures_does_not_change_what_is_before():
    history = [HI, asks("a"), pictured("a"), Message.assistant("I see."), HI]
    assert normalise(history[:3]) == normalise(history)[:5]


def test_pictures_of_results_may_be_left_out_and_those_of_the_user_stay():
    mine = Message.user([PICTURE])
    assert without_tools_pictures([mine, asks("a"), pictured("a")])[::2] == [mine, result("a", "plotted")]
