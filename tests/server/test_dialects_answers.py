"""Answers of endpoints that deviate from OpenAI's: what becomes of them, and that the session lives on."""

from __future__ import annotations

import json

import pytest

from tests.support.conversation import PARTIAL, only, text_of, turn, whole_log
from tests.support.model_replies import Raw, smart, text

pytestmark = pytest.mark.database
DONE = "[DONE]"


@pytest.fixture(autouse=True)
def sound_model(model):
    """Whatever a test does to the model, the next one finds it in order."""
    yield
    model.default = smart


def chunk(finish=None, **delta):
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def stream(*chunks, between="\n\n", content_type="text/event-stream"):
    lines = ("data: " + (item if isinstance(item, str) else json.dumps(item)) for item in chunks)
    return Raw((between.join(lines) + between).encode(), content_type)


def said(*pieces, finish="stop"):
    return stream(*(chunk(content=piece) for piece in pieces), chunk(finish), DONE)


def call(name, arguments, **fields):
    return fields | {"function": {"name": name, "arguments": arguments}}


def results(frames):
    return [frame.content for frame in frames if frame.event == "agent.tool_result"]


async def asked(client, model, *behaviours):
    """One turn with the model's answers; its frames, and the session, which has been asked once more."""
    model.script(*behaviours)
    session_id = await client.create_session()
    frames = await turn(client, session_id, "please")
    requests = len(model.requests)
    after = await turn(client, session_id, "and now?")
    assert after[-1].content.startswith("You said:") and after[-1].content.endswith("and now?")
    later = model.requests[-1].messages
    assert all(message["content"].strip() or message.get("tool_calls") for message in later)
    return frames, requests, session_id


@pytest.mark.parametrize("common", [{"index": 0}, {"id": None}, {}])
async def test_calls_without_an_identity_stay_apart(server, client, model, common):
    parts = [call("add", '{"a": 1, "b": 2}', **common), call("add", {"a": 3, "b": 4}, **common)]
    one_by_one = stream(*(chunk(tool_calls=[part]) for part in parts), chunk("stop"), DONE)
    for reply in (one_by_one, stream(chunk("tool_calls", tool_calls=parts), DONE)):
        frames, _requests, session_id = await asked(client, model, reply, text("fine"))
        assert sorted(results(frames)) == ["3", "7"] and frames[-1].content == "fine"
        await whole_log(server, session_id)


async def test_the_function_call_of_old_servers_runs(client, model):
    old = stream(
        chunk(function_call={"name": "add", "arguments": ""}),
        chunk(function_call={"arguments": '{"a": 1, "b": 2}'}),
        chunk("function_call"),
    )
    frames, _requests, _session = await asked(client, model, old, text("three"))
    assert (results(frames), frames[-1].content) == (["3"], "three")


@pytest.mark.parametrize("finish", ["error", "network_error", "insufficient_system_resource", "abort"])
async def test_half_an_answer_is_asked_for_again(server, client, model, finish):
    frames, requests, session_id = await asked(client, model, said("It ", "beg", finish=finish), said("It begins."))
    assert (frames[-1].content, frames[-1].metadata["finish"], requests) == ("It begins.", "answer", 2)
    assert only(frames, "agent.step_reset").metadata["reason"] == "stream_cut"
    await whole_log(server, session_id)


async def test_half_an_answer_each_time_is_an_error(client, model):
    choice = {"index": 0, "message": {"content": "It "}, "finish_reason": "error", "error": {"code": 502}}
    broken = Raw(json.dumps({"choices": [choice]}).encode(), "application/json")
    frames, requests, _session = await asked(client, model, broken, broken, broken)
    assert (frames[-1].event, frames[-1].code, requests) == ("agent.error", "llm_unavailable", 3)


@pytest.mark.parametrize("finish", ["length", "MAX_TOKENS"])
async def test_an_answer_that_was_cut_at_the_limit_says_so(server, client, model, finish):
    frames, _requests, _session = await asked(client, model, said("It ", "begins", finish=finish))
    assert (frames[-1].content, frames[-1].metadata["finish"]) == ("It begins", "length")
    assert "outcome=length" in server.wait_log(f"run={frames[-1].run_id}")
    assert "cut short" in server.log


@pytest.mark.parametrize(
    "whole",
    [
        stream(chunk(content="all"), DONE),
        stream(chunk("", content="all"), {"choices": [], "usage": {"prompt_tokens": 1}}, DONE),
        stream(chunk(content="all"), chunk("stop"), between="\n"),
        stream("", ": waiting", "ping", chunk("stop", content="all"), content_type="application/json"),
        Raw(b"\xef\xbb\xbf" + stream(chunk("stop", content="all")).body),
    ],
)
async def test_streams_that_are_whole_are_asked_for_once(client, model, whole):
    frames, requests, _session = await asked(client, model, whole)
    assert (frames[-1].content, requests) == ("all", 1)


EMPTY = [
    said(),
    said("\n", " "),
    stream(chunk(reasoning_content="hm"), chunk("stop"), DONE),
    stream(chunk("tool_calls", tool_calls=[]), DONE),
    stream(chunk("OTHER"), DONE),
    Raw(b'{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}', "application/json"),
]


@pytest.mark.parametrize("empty", EMPTY)
async def test_an_empty_reply_is_asked_for_once_more(server, client, model, empty):
    frames, requests, session_id = await asked(client, model, empty, said("Here."))
    assert (frames[-1].content, requests, frames[-1].metadata["usage"]["llm_calls"]) == ("Here.", 2, 2)
    assert "empty" in json.dumps(model.request(2).messages)
    assert "empty" not in json.dumps(model.requests[-1].messages), "the note is of that request only"
    await whole_log(server, session_id)


async def test_two_empty_replies_are_an_error(server, client, model):
    frames, requests, session_id = await asked(client, model, EMPTY[1], EMPTY[2])
    assert (frames[-1].event, frames[-1].code, requests) == ("agent.error", "empty_reply", 2)
    assert "outcome=error reason=empty_reply" in server.wait_log(f"run={frames[-1].run_id}")
    await whole_log(server, session_id)


@pytest.mark.parametrize("pieces", [["<think>", "hm", "</think>\n"], ["<thi", "nk>h", "m</th", "ink>"]])
async def test_a_block_of_thinking_is_reasoning(server, client, model, pieces):
    frames, _requests, session_id = await asked(client, model, said(*pieces, "Yes", "."))
    assert frames[-1].content == text_of(frames) == "Yes."
    thoughts = [
        frame.content for frame in frames if frame.event == "agent.thinking" and frame.metadata.get("reasoning")
    ]
    assert "".join(thoughts) == "hm"
    assert [message["content"] for message in model.requests[-1].messages if message["role"] == "assistant"] == ["Yes."]
    await whole_log(server, session_id)


async def test_text_that_turns_out_to_be_reasoning_is_taken_back(server, client, model):
    frames, _requests, session_id = await asked(client, model, said("hm", "</think>", "\n\nYes."))
    assert frames[-1].content == text_of(frames) == "Yes."
    reset = only(frames, "agent.step_reset")
    assert reset.metadata["reason"] == "reasoning"
    shown = [(frame.event, frame.content) for frame in frames if frame.seq > reset.seq and frame.content]
    assert shown[0] == ("agent.thinking", "hm") and shown[1][0] == PARTIAL
    await whole_log(server, session_id)


async def test_arguments_with_a_slip_are_mended(client, model):
    slips = ['{"a": 1, "b": 2,}', json.dumps('{"a": "1", "b": "2"}'), '```json\n{"a": 1, "b": 2}\n```']
    parts = [call("add", slip, index=at, id=f"c{at}") for at, slip in enumerate(slips)]
    frames, _requests, _session = await asked(client, model, stream(chunk("tool_calls", tool_calls=parts)), text("ok"))
    assert results(frames) == ["3", "3", "3"]


async def test_usage_of_cache_and_reasoning_is_kept(server, client, model):
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 7},
    }
    reply = stream(chunk("stop", content="yes"), {"choices": [], "usage": usage}, DONE)
    frames, _requests, _session = await asked(client, model, reply)
    parts = {"cached_input_tokens": 16, "cache_write_tokens": 2, "reasoning_tokens": 7}
    assert frames[-1].metadata["usage"] == {"input_tokens": 20, "output_tokens": 9, "llm_calls": 1} | parts
    words = " ".join(f"{name}={count}" for name, count in parts.items())
    assert f" {words}\n" in server.wait_log(f"run={frames[-1].run_id}")
