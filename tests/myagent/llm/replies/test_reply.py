import pytest

from myagent.exceptions import LLMRejected, StreamCut
from myagent.llm import ReasoningChunk, TextChunk, TextWasReasoning, Usage
from myagent.llm.replies.reply import ReplyBuilder


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr("myagent.i18n._language", "en")


def delta(finish=None, **fields):
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def part(arguments="", **fields):
    function = {"arguments": arguments} | ({"name": fields.pop("name")} if "name" in fields else {})
    return fields | {"function": function}


def build(*chunks, is_whole=False, **options):
    builder = ReplyBuilder(**options)
    shown = [item for chunk in chunks for item in builder.add(chunk)]
    shown += builder.close()
    return shown, builder.reply(is_whole=is_whole)


def calls_of(*parts, finish="tool_calls", **options):
    _, reply = build(*(delta(tool_calls=[item]) for item in parts), delta(finish), **options)
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


@pytest.mark.parametrize(
    ("usage", "parts"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2}}, (8, 2, 0)),
        ({"completion_tokens_details": {"reasoning_tokens": 3}, "prompt_tokens_details": None}, (0, 0, 3)),
        ({"prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 3}, (8, 0, 0)),
        ({"cached_tokens": 8, "reasoning_tokens": 3}, (8, 0, 3)),
        ({"cache_read_input_tokens": 8, "cache_creation_input_tokens": 2}, (8, 2, 0)),
        ({"prompt_tokens_details": {"cached_tokens": "8"}, "reasoning_tokens": -1}, (0, 0, 0)),
    ],
)
def test_usage_of_cache_and_reasoning(usage, parts):
    _, reply = build(delta("stop", content="x") | {"usage": {"prompt_tokens": 11, "completion_tokens": 5} | usage})
    assert reply.usage == Usage(11, 5, 1, *parts)


def test_usage_in_the_choice():
    chunk = delta("stop", content="x")
    chunk["choices"][0]["usage"] = {"prompt_tokens": 11, "completion_tokens": 5.0}
    assert build(chunk)[1].usage == Usage(11, 5, 1)


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


@pytest.mark.parametrize(
    "common",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"id": None}, id="id null"),
        pytest.param({"index": 0}, id="index always 0"),
        pytest.param({"index": 0, "id": ""}, id="index always 0, id empty"),
        pytest.param({"index": "0"}, id="index as text"),
        pytest.param({"id": "same"}, id="one id for all"),
        pytest.param({"id": "same", "index": 0}, id="one id and index for all"),
    ],
)
@pytest.mark.parametrize("in_one_chunk", [False, True])
@pytest.mark.parametrize("names", ["fg", "ff"])
def test_whole_calls_that_look_alike_stay_apart(common, in_one_chunk, names):
    parts = [part('{"x": 1}', name=names[0], **common), part({"x": 2}, name=names[1], **common)]
    together = [delta(tool_calls=parts)] if in_one_chunk else [delta(tool_calls=[item]) for item in parts]
    calls = build(*together, delta("stop"))[1].message.tool_calls
    assert [(call.name, call.arguments.replace(" ", "")) for call in calls] == [
        (names[0], '{"x":1}'),
        (names[1], '{"x":2}'),
    ]
    assert len({call.id for call in calls}) == 2


def test_streamed_calls_without_ids_at_one_index_stay_apart():
    one, two = (part("", index=0, name="f"), part('{"x"', index=0), part(":1}", index=0)), part("{}", index=0)
    assert [call.arguments for call in calls_of(*one, *one)] == ['{"x":1}', '{"x":1}']
    assert [call.arguments for call in calls_of(*one, part("", index=0, name="f"), two)] == ['{"x":1}', "{}"]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([part('{"x"', name="f"), part(":1}", name="f"), part("", name="f")], id="name repeated"),
        pytest.param([part('{"x"', id="1", name="f"), part(":1}", id="2", name="f")], id="a new id in each part"),
        pytest.param([part('{"x"', id="1", name="f", index=0), part(":1}", id="2", index=0)], id="a new id, no name"),
        pytest.param([part('{"x":1}', id="1", name="f"), part('{"x":1}', id="1", name="f")], id="said twice"),
        pytest.param([part(id="1", index=0), part(name="f", index=0), part('{"x":1}', index=0)], id="id first"),
        pytest.param([part('{"x"', name="f", index=0), part(":1}", index=1)], id="index counts parts"),
        pytest.param([{}, part('{"x":1}', name="f"), {"index": 0}, {"function": None}, "junk"], id="empty parts"),
    ],
)
def test_parts_of_one_call_stay_together(parts):
    assert [(call.name, call.arguments) for call in calls_of(*parts)] == [("f", '{"x":1}')]


def test_parts_are_found_by_their_ids_where_there_are_no_indexes():
    parts = (part(id="a", name="f"), part(id="b", name="g"), part('{"x":1}', id="a"), part("{}", id="b"))
    assert [(call.name, call.arguments) for call in calls_of(*parts)] == [("f", '{"x":1}'), ("g", "{}")]


def test_names_join_only_to_the_name_of_a_tool():
    parts = (part(index=0, id="a", name="get_"), part(index=0, name="weather"), part("{}", index=0))
    assert [call.name for call in calls_of(*parts, tools={"get_weather"})] == ["get_weather"]
    assert [call.name for call in calls_of(*parts, tools={"get_", "weather"})] == ["get_", "weather"]
    assert [call.name for call in calls_of(*parts)] == ["get_", "weather"]


def test_the_function_call_of_old_servers_is_a_call():
    old = [delta(function_call={"name": "f", "arguments": '{"x"'}), delta(function_call={"arguments": ":1}"})]
    (call,) = build(*old, delta("function_call"))[1].message.tool_calls
    assert (call.name, call.arguments) == ("f", '{"x":1}') and call.id
    both = [*old, delta("tool_calls", tool_calls=[part('{"x":1}', id="a", name="f")])]
    assert [call.id for call in build(*both)[1].message.tool_calls] == ["a"]


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


@pytest.mark.parametrize("finish", ["", None])
def test_an_end_without_a_finish_is_enough_for_text_and_whole_calls(finish):
    assert build(delta(finish, content="all"), is_whole=True)[1].message.text == "all"
    assert build(delta(finish, tool_calls=[part("", name="f")]), is_whole=True)[1].message.tool_calls
    for half in (delta(finish, tool_calls=[part('{"x"', name="f")]), delta(finish, reasoning="hm"), delta(finish)):
        with pytest.raises(StreamCut):
            build(half, is_whole=True)


@pytest.mark.parametrize(
    "finish",
    [
        "error",
        "network_error",
        "insufficient_system_resource",
        "abort",
        "cancelled",
        "MALFORMED_FUNCTION_CALL",
        "timeout",
    ],
)
def test_an_endpoint_that_gave_up_has_not_finished(finish):
    with pytest.raises(StreamCut):
        build(delta(content="half"), delta(finish))
    with pytest.raises(StreamCut):
        build(delta(content="half"), delta(finish), delta("stop"), is_whole=True)


@pytest.mark.parametrize("finish", ["stop", "eos", "end_turn", "COMPLETE", "tool_use", "STOP", "whatever comes next"])
def test_other_words_end_a_reply(finish):
    assert build(delta(finish, content="all"))[1].message.text == "all"


@pytest.mark.parametrize("finish", ["SAFETY", "sensitive", "refusal", "PROHIBITED_CONTENT"])
def test_filters_of_other_vendors(finish):
    with pytest.raises(LLMRejected, match="content filter"):
        build(delta(finish, content="half"))


@pytest.mark.parametrize("finish", ["max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded"])
def test_length_limits_of_other_vendors(finish):
    assert build(delta(finish, content="long"))[1].finish == finish
    with pytest.raises(LLMRejected, match="max_tokens"):
        build(delta(finish, content=" "))
    with pytest.raises(LLMRejected, match="max_tokens"):
        calls_of(part("", name="f"), finish=finish)


def test_an_error_in_a_choice_is_kept():
    builder = ReplyBuilder()
    chunk = delta("error", content="half")
    chunk["choices"][0]["error"] = {"code": 502, "message": "gone"}
    assert list(builder.add(chunk)) == [TextChunk("half")]
    assert builder.error == {"code": 502, "message": "gone"}


def test_a_message_that_is_repeated_at_the_end_is_said_once():
    last = {"choices": [{"index": 0, "delta": {}, "message": {"content": "ab"}, "finish_reason": "stop"}]}
    assert build(delta(content="a"), delta(content="b"), last)[1].message.text == "ab"


# Reasoning in the content


def pieces_of(text):
    """`text` whole, letter by letter, and cut in two at every place."""
    yield [text]
    yield list(text)
    yield from ([text[:at], text[at:]] for at in range(1, len(text)))


def heard(pieces, **fields):
    shown, reply = build(*(delta(content=piece) for piece in pieces), delta("stop", **fields))
    text, reasoning = "", ""
    for item in shown:
        if isinstance(item, TextWasReasoning):
            assert item.text == text
            text, reasoning = "", reasoning + item.text
        elif isinstance(item, TextChunk):
            text += item.text
        else:
            reasoning += item.text
    assert reply.message.text == text
    return reasoning.strip(), text


@pytest.mark.parametrize(
    ("content", "reasoning", "text"),
    [
        ("<think>\nhm</think>\n\nyes", "hm", "yes"),
        ("\n<think>hm</think>yes", "hm", "yes"),
        ("<THINK>hm</THINK> yes", "hm", "yes"),
        ("<thinking>a</think>b</thinking>yes", "a</think>b", "yes"),
        ("[THINK]hm[/THINK]yes", "hm", "yes"),
        ("<think>\n\n</think>\n\nyes", "", "yes"),
        ("<think>a</think><think>b</think>yes", "ab", "yes"),
        ("<think>hm", "hm", ""),
        ("<think>hm</thi", "hm</thi", ""),
        ("hm</think>\nyes", "hm", "yes"),
        ("</think>\nyes", "", "yes"),
        ("yes</think>\n", "", "yes"),
        ("<thin ice", "", "<thin ice"),
        ("<", "", "<"),
        ("  yes <b>and</b> 1 < 2 [x]", "", "  yes <b>and</b> 1 < 2 [x]"),
        ("The mark <think> opens, </think> ends", "", "The mark <think> opens, </think> ends"),
        ("Write `</think>` at the end", "", "Write `</think>` at the end"),
        ("<think>hm</think>Write </think> at the end", "hm", "Write </think> at the end"),
    ],
)
def test_reasoning_in_the_content(content, reasoning, text):
    for pieces in pieces_of(content):
        assert heard(pieces) == (reasoning, text), pieces


def test_a_stray_mark_before_a_call_makes_the_text_reasoning():
    assert heard(["hm", "</think>"], tool_calls=[part("{}", name="f")]) == ("hm", "")


def test_where_reasoning_has_a_field_of_its_own_the_text_is_text():
    shown, reply = build(delta(reasoning="hm"), delta(content="a</think>b"), delta("stop"))
    assert reply.message.text == "a</think>b"
    assert build(delta(reasoning="hm"), delta(content="</think>\nb"), delta("stop"))[1].message.text == "b"


def test_reasoning_as_a_part_of_the_content():
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "yes"}]
    assert build(delta("stop", content=parts))[0] == [ReasoningChunk("hm"), TextChunk("yes")]


# Calls in the text

CALL = '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>'


@pytest.mark.parametrize(
    ("content", "text", "calls"),
    [
        (CALL, "", [("f", '{"x":1}')]),
        (f"Wait.\n{CALL}\n{CALL}", "Wait.\n", [("f", '{"x":1}')] * 2),
        ('<tool_call>{"name": "f", "parameters": {}}', "", [("f", "{}")]),
        ('<tool_call>{"name": "f", "arguments": "{}"}</tool_call>', "", [("f", "{}")]),
        (f"<think>hm</think>{CALL}", "", [("f", '{"x":1}')]),
        ("<tool_call>junk</tool_call> rest", "<tool_call>junk</tool_call> rest", []),
        ('<tool_call>{"name": "f"', '<tool_call>{"name": "f"', []),
        ("<tool_cat> <tool", "<tool_cat> <tool", []),
    ],
)
def test_calls_in_the_text(content, text, calls):
    for pieces in pieces_of(content):
        chunks = [delta(content=piece) for piece in pieces]
        shown, reply = build(*chunks, delta("stop"), runs_text_calls=True)
        assert reply.message.text == text == "".join(item.text for item in shown if isinstance(item, TextChunk)), pieces
        assert [(call.name, call.arguments) for call in reply.message.tool_calls] == calls
    _, reply = build(delta("stop", content=content))
    assert reply.message.tool_calls == () and reply.message.text.endswith(content.removeprefix("<think>hm</think>"))
