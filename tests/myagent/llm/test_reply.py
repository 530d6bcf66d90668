import pytest

from myagent.exceptions import LLMRejected, StreamCut
from myagent.llm import ReasoningChunk, TextChunk, Usage
from myagent.llm.reply import ReplyBuilder


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr("myagent.i18n._language", "en")


def delta(finish=None, **fields):
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def part(arguments="", **fields):
    function = {"arguments": arguments} | ({"name": fields.pop("name")} if "name" in fields else {})
    return fields | {"function": function}


def build(*chunks):
    builder = ReplyBuilder()
    shown = [item for chunk in chunks for item in builder.add(chunk)]
    return shown, builder.reply()


def calls_of(*parts, finish="tool_calls"):
    _, reply = build(*(delta(tool_calls=[item]) for item in parts), delta(finish))
    return reply.message.tool_calls


def test_text_reasoning_and_usage():
    usage = {"prompt_tokens": 11, "completion_tokens": 5}
    shown, reply = build(
        delta(role="assistant", content=""),
        delta(reasoning_content="hm"),
        delta(reasoning="m"),
        delta(content="你"),
        delta(content="好"),
        delta("stop"),
        {"choices": [], "usage": usage},
    )
    assert shown == [ReasoningChunk("hm"), ReasoningChunk("m"), TextChunk("你"), TextChunk("好")]
    assert reply.message.text == "你好"
    assert reply.usage == Usage(11, 5, 1)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, "junk"])
def test_missing_usage_counts_the_call_alone(usage):
    _, reply = build(delta("stop", content="x") | {"usage": usage})
    assert reply.usage == Usage(0, 0, 1)


def test_text_that_cannot_be_stored_is_mended():
    shown, reply = build(delta(content="a\x00"), delta("stop", content="\ud800b"))
    assert shown == [TextChunk("a\ufffd"), TextChunk("\ufffdb")]
    assert reply.message.text == "a\ufffd\ufffdb"


def test_content_as_a_list_of_parts_and_a_refusal():
    _, reply = build(delta(content=[{"type": "text", "text": "a"}, "junk"]), delta("stop", refusal="no"))
    assert reply.message.text == "ano"


def test_only_the_first_choice_counts():
    second = {"index": 1, "delta": {"content": "other"}, "finish_reason": "stop"}
    chunk = delta("stop", content="one")
    chunk["choices"].append(second)
    assert build(chunk)[1].message.text == "one"


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"choices": None},
        {"choices": ["junk"]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": "junk"}]},
        delta(content={"junk": 1}),
        delta(tool_calls=None),
    ],
)
def test_chunks_that_say_nothing_are_skipped(chunk):
    shown, reply = build(chunk, delta("stop", content="x"))
    assert shown == [TextChunk("x")]
    assert reply.message.tool_calls == ()


def test_a_whole_body_is_one_chunk():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, call | {"id": "c2"}]}
    _, reply = build({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
    assert [(item.id, item.name) for item in reply.message.tool_calls] == [("c1", "f"), ("c2", "f")]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(
            [
                part(index=0, id="a", name="f"),
                part('{"x"', index=0),
                part(index=1, id="b", name="g"),
                part(":1}", index=0),
                part("{}", index=1),
            ],
            id="interleaved",
        ),
        pytest.param(
            [part('{"x"', id="a", name="f"), part(":1}"), part(id="b", name="g"), part("{}")], id="without index"
        ),
        pytest.param(
            [part('{"x":1}', index=0, id="a", name="f"), part("{}", index=0, id="b", name="g")], id="index always 0"
        ),
        pytest.param(
            [
                part('{"x"', index=0, id="a", name="f"),
                part(":1}", index=0, id="a", name="f"),
                part("{}", index=1, id="b", name="g"),
            ],
            id="name and id repeated",
        ),
        pytest.param(
            [part({"x": 1}, index=0, id="a", name="f"), part(None, index=1, id="b", name="g")], id="object arguments"
        ),
    ],
)
def test_dialects_of_tool_calls(parts):
    assert [(call.id, call.name, call.arguments) for call in calls_of(*parts)] == [
        ("a", "f", '{"x":1}'),
        ("b", "g", "{}"),
    ]


def test_missing_ids_are_made_up():
    first, second = calls_of(part("{}", index=0, name="f"), part("{}", index=1, name="f"))
    assert first.id and second.id and first.id != second.id


def test_calls_without_index_and_id_are_told_apart_by_their_names():
    assert [call.name for call in calls_of(part("{}", id="a", name="f"), part("{}", name="g"))] == ["f", "g"]


def test_repeated_ids_become_unique():
    first, second = calls_of(part("{}", index=0, id="a", name="f"), part("{}", index=1, id="a", name="g"))
    assert first.id == "a"
    assert second.id not in ("", "a")


def test_arguments_stay_as_written_but_for_what_cannot_be_stored():
    (call,) = calls_of(part('{"x": "\\u0000", ', index=0, id="a", name="f"), part('"y" : 1', index=0))
    assert call.arguments == '{"x": "\\ufffd", "y" : 1'


def test_no_finish_is_a_cut():
    with pytest.raises(StreamCut):
        build(delta(content="half"))


def test_a_filtered_answer_is_rejected():
    with pytest.raises(LLMRejected, match="content filter"):
        build(delta("content_filter", content="half"))


def test_text_cut_at_the_length_limit_is_a_reply():
    assert build(delta("length", content="long"))[1].message.text == "long"
    assert calls_of(part("{}", index=0, id="a", name="f"), finish="length")


def test_half_a_call_or_nothing_at_the_length_limit_is_rejected():
    with pytest.raises(LLMRejected, match="max_tokens"):
        calls_of(part('{"x": ', index=0, id="a", name="f"), finish="length")
    with pytest.raises(LLMRejected, match="max_tokens"):
        build(delta(reasoning_content="hm"), delta("length"))
