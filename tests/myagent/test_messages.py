"""Messages as the model reads them."""

import dataclasses

import pytest

from myagent.messages import Message, ToolCall

CALL = ToolCall(id="c1", name="weather", arguments='{"city": "北京"}')
PARTS = [
    {"type": "text", "text": "what"},
    {"type": "image_url", "image_url": {"url": "u"}},
    {"type": "text", "text": "?"},
]


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (Message.system("be kind"), {"role": "system", "content": "be kind"}),
        (Message.user("hi"), {"role": "user", "content": "hi"}),
        (Message.user(PARTS), {"role": "user", "content": PARTS}),
        (Message.assistant("ok"), {"role": "assistant", "content": "ok"}),
        (
            Message.assistant("", [CALL]),
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": CALL.arguments}}
                ],
            },
        ),
        (Message.tool("sunny", tool_call_id="c1"), {"role": "tool", "content": "sunny", "tool_call_id": "c1"}),
    ],
)
def test_the_shape_of_chat_completions(message, wire):
    assert message.to_openai() == wire


def test_the_text_of_parts_has_no_pictures():
    assert Message.user(PARTS).text == "what\n?"
    assert Message.user("hi").text == "hi"


def test_messages_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Message.user("hi").content = "ho"
    assert Message.assistant("x", [CALL]).tool_calls == (CALL,)


def test_a_file_is_neither_text_nor_a_picture():
    file = {"type": "file", "file": {"file_id": "f", "name": "a.txt"}}
    named = {"type": "image_url", "image_url": {"url": "/api/files/g", "file_id": "g"}}
    message = Message.user([*PARTS, file, named])
    assert message.text == "what\n?" and message.pictures == [PARTS[1], named]
    assert [facts["file_id"] for facts in message.attachments] == ["f", "g"]
    assert Message.user("f").attachments == []
