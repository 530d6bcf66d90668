"""Which forms of a request are tried, and in what order."""

from __future__ import annotations

import pytest

from myagent.exceptions import LLMRejected
from myagent.llm.requests.request_forms import ChatRequest, Form, RequestForms
from myagent.messages import Message, ProviderData, ToolCall

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALL = ToolCall(id="a", name="f", arguments="{}")
RESULT = Message.tool("r", tool_call_id="a")
HI = Message.user("hi")


def added(model: str = "m", endpoint: str = "https://e", **fields: str) -> Message:
    data = ProviderData(endpoint=endpoint, model=model, message=fields or {"note": "x"}, calls=({},))
    return Message(role="assistant", tool_calls=(CALL,), provider_data=data)


def request(*messages: Message, **options) -> ChatRequest:
    given = {"tools": [TOOL], "may_call": True, "endpoint": "https://e", "model": "m"}
    return ChatRequest(messages=messages, **given | options)


@pytest.mark.parametrize(
    ("asked", "ways"),
    [
        (request(HI), ["sent"]),
        (request(HI, added(), RESULT), ["sent", "left_out"]),
        (request(HI, Message.assistant("", [CALL]), RESULT), ["sent", "required"]),
        (request(HI, added("other"), RESULT), ["sent", "required"]),
        (request(HI, added(endpoint="https://other"), RESULT), ["sent", "required"]),
    ],
)
def test_the_ways_with_additions(asked, ways):
    assert [form.additions for form in RequestForms().to_try(asked)] == ways


def test_additions_of_others_are_never_sent():
    for form in RequestForms().to_try(request(HI, added("other"), RESULT)):
        assert "note" not in str(request(HI, added("other"), RESULT).body(form))


def test_what_was_taken_comes_first_from_then_on():
    forms, asked = RequestForms(), request(HI, added(), RESULT)
    forms.learn(Form("left_out", "free"))
    assert [form.additions for form in forms.to_try(asked)] == ["left_out", "sent"]
    assert [form.additions for form in forms.to_try(request(HI))] == ["sent"]


def test_the_ways_to_forbid_tools():
    asked = request(HI, may_call=False, extra={"tool_choice": "required"})
    forms = RequestForms()
    bodies = [asked.body(form) for form in forms.to_try(asked)]
    ways = [(body.get("tool_choice"), "tools" in body) for body in bodies]
    assert ways == [("none", True), (None, False), (None, True)]
    forms.learn(Form("sent", "undeclared"))
    assert [form.tool_use for form in forms.to_try(asked)] == ["undeclared", "forbidden", "declared"]
    assert [form.tool_use for form in forms.to_try(request(HI, may_call=False, tools=[]))] == ["free"]


def test_what_the_author_adds_stays_where_tools_are_free():
    body = request(HI, extra={"tool_choice": "auto", "top_k": 5}).body(Form("sent", "free"))
    assert (body["tool_choice"], body["top_k"], body["model"]) == ("auto", 5, "m")


def test_calls_are_told_in_words_only_where_the_refusal_is_of_reasoning():
    told = Form("required", "free")
    assert RequestForms.may_help(told, LLMRejected("Missing `reasoning_content` in message 2"))
    assert RequestForms.may_help(told, LLMRejected("Function call is missing a thought_signature"))
    assert not RequestForms.may_help(told, LLMRejected("the picture is too large"))
    assert RequestForms.may_help(Form("left_out", "free"), LLMRejected("the picture is too large"))


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
PLOT = [HI, Message.assistant("", [CALL]), Message.tool([{"type": "text", "text": "r"}, PICTURE], tool_call_id="a")]


def test_a_model_that_takes_no_pictures_is_asked_without_those_of_tools():
    forms, asked = RequestForms(), request(*PLOT)
    with_them, without, *_others = forms.to_try(asked)
    assert (with_them.has_pictures, without.has_pictures) == (True, False)
    assert "image_url" in str(asked.body(with_them))
    assert "image_url" not in str(asked.body(without))
    forms.learn(without, LLMRejected("The picture is broken."))
    assert forms.to_try(asked)[0].has_pictures
    forms.learn(without, LLMRejected("This model does not support image input."))
    assert not any(form.has_pictures for form in forms.to_try(asked))
    assert "image_url" in str(request(Message.user([PICTURE])).body(forms.to_try(asked)[0]))


def test_without_pictures_of_tools_there_is_no_other_form():
    assert len(RequestForms().to_try(request(Message.user([PICTURE])))) == 1
