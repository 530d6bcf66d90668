"""A model of ours behind a Chat Completions endpoint: asked through it, it says what it says without it."""

from __future__ import annotations

import pytest

from myagent.exceptions import (
    ContextOverflow,
    LLMAuthError,
    LLMError,
    LLMNotFound,
    LLMRejected,
    LLMUnavailable,
    StreamCut,
)
from myagent.llm import ReasoningChunk, Reply, TextChunk, Usage
from myagent.llm.openai import OpenAILLM
from myagent.messages import Message, ToolCall
from myagent.testing import Say, ScriptedLLM, ScriptExhausted, call, cut
from myagent.testing.llm_endpoint import LLMEndpoint

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
HISTORY = [
    Message.system("be nice"),
    Message.user([{"type": "text", "text": "北京"}, {"type": "image_url", "image_url": {"url": "data:,x"}}]),
    Message.assistant("calling", [ToolCall(id="c1", name="f", arguments='{"x": "北京"}')]),
    Message.tool("done", tool_call_id="c1"),
]


async def say(item, messages=HISTORY, tools=()):
    """What a server gets for this item of a script, and what the model was asked."""
    scripted = ScriptedLLM([item])
    endpoint = LLMEndpoint(scripted)
    async with endpoint.serving() as url:
        llm = OpenAILLM("m", api_key="k", base_url=url)
        chunks = [chunk async for chunk in llm.stream(messages, tools=tools)]
        await llm.aclose()
    assert endpoint.failures == []
    return chunks, scripted.requests


async def test_a_reply_in_full():
    item = Say(text="Hello, 你好", reasoning="hm", calls=[call("f", x=1), call("g")], usage=Usage(7, 3, 1))
    chunks, requests = await say(item, tools=[TOOL])
    *pieces, reply = chunks
    assert "".join(chunk.text for chunk in pieces if isinstance(chunk, TextChunk)) == "Hello, 你好"
    assert "".join(chunk.text for chunk in pieces if isinstance(chunk, ReasoningChunk)) == "hm"
    assert isinstance(reply, Reply)
    assert reply.message.text == "Hello, 你好"
    calls = [(item.id, item.name, item.arguments) for item in reply.message.tool_calls]
    assert calls == [("call_1", "f", '{"x": 1}'), ("call_2", "g", "{}")]
    assert reply.usage == Usage(7, 3, 1)
    (request,) = requests
    assert list(request.messages) == HISTORY
    assert list(request.tools) == [TOOL]


@pytest.mark.parametrize(
    "error",
    [LLMAuthError("a"), LLMNotFound("b"), LLMRejected("c"), LLMUnavailable("d"), ContextOverflow("e")],
    ids=repr,
)
async def test_an_error(error):
    with pytest.raises(type(error), match=str(error)):
        await say(error)
    with pytest.raises(LLMError):
        await say(Say(text="half", then=error))


@pytest.mark.parametrize("text", ["", "half"])
async def test_a_stream_that_breaks_off(text):
    with pytest.raises(StreamCut):
        await say(cut(text))


@pytest.mark.parametrize(
    "item", [OSError("a bug of the test"), Say(text="x", then=KeyError("another"))], ids=["at once", "later"]
)
async def test_the_errors_of_the_test_itself_are_kept(item):
    endpoint = LLMEndpoint(ScriptedLLM([item]))
    async with endpoint.serving() as url:
        llm = OpenAILLM("m", api_key="k", base_url=url)
        with pytest.raises(LLMError):
            async for _chunk in llm.stream(HISTORY):
                pass
        with pytest.raises(LLMError, match="script has no more replies"):
            async for _chunk in llm.stream(HISTORY):
                pass
        await llm.aclose()
    first, second = endpoint.failures
    assert type(first) in (OSError, KeyError)
    assert type(second) is ScriptExhausted
