import asyncio
import json

import pytest

from myagent.exceptions import LLMUnavailable, StreamCut
from myagent.llm import ReasoningChunk, Reply, TextChunk, Usage
from myagent.messages import Message, ToolCall
from myagent.testing import Say, ScriptedLLM, ScriptExhausted, call, cut

QUESTION = Message.user("hi")


async def ask(llm, *messages, tools=()):
    return [chunk async for chunk in llm.stream(messages or [QUESTION], tools=tools)]


async def test_items_are_said_in_order():
    llm = ScriptedLLM(["hello there, you", call("f", x="北京"), [call("f"), call("g")]])
    *chunks, reply = await ask(llm)
    assert "".join(chunk.text for chunk in chunks) == reply.message.text == "hello there, you"
    assert len(chunks) > 1
    (reply,) = await ask(llm)
    assert reply == Reply(
        Message.assistant("", [ToolCall(id="call_1", name="f", arguments='{"x": "北京"}')]), Usage(llm_calls=1)
    )
    (reply,) = await ask(llm)
    assert [(item.id, item.name) for item in reply.message.tool_calls] == [("call_2", "f"), ("call_3", "g")]
    assert llm.remaining == 0


async def test_say_has_everything():
    usage = Usage(3, 4, 1)
    llm = ScriptedLLM([Say(text="t", reasoning="r", calls=[ToolCall(id="mine", name="f", arguments="{")], usage=usage)])
    reasoning, text, reply = await ask(llm)
    assert (reasoning, text) == (ReasoningChunk("r"), TextChunk("t"))
    assert reply.usage == usage
    assert reply.message.tool_calls[0].id == "mine"


async def test_exceptions_are_raised():
    llm = ScriptedLLM([LLMUnavailable("busy"), cut("half")])
    with pytest.raises(LLMUnavailable, match="busy"):
        await ask(llm)
    chunks = []
    with pytest.raises(StreamCut):
        async for chunk in llm.stream([QUESTION]):
            chunks.append(chunk)
    assert chunks == [TextChunk("half")]


async def test_a_function_sees_the_messages():
    llm = ScriptedLLM([lambda messages: call("echo", text=messages[-1].text)])
    (reply,) = await ask(llm, Message.user("tell"))
    assert json.loads(reply.message.tool_calls[0].arguments) == {"text": "tell"}


async def test_requests_are_recorded():
    llm = ScriptedLLM(["a"])
    llm.extend(["b"])
    tool = {"type": "function", "function": {"name": "f"}}
    await ask(llm, QUESTION, tools=[tool])
    await ask(llm, Message.system("s"))
    assert llm.requests[0].messages == (QUESTION,)
    assert llm.requests[0].tools == (tool,)
    assert llm.requests[1].messages == (Message.system("s"),)


async def test_an_exhausted_script_says_so():
    llm = ScriptedLLM(["only"])
    await ask(llm)
    with pytest.raises(ScriptExhausted, match=r"asked 2 times.*'hi'") as caught:
        await ask(llm)
    assert isinstance(caught.value, AssertionError)


async def test_a_gate_blocks_until_it_is_opened():
    gate = asyncio.Event()
    llm = ScriptedLLM(["done"], gate=gate)
    task = asyncio.create_task(ask(llm))
    request = await llm.asked()
    assert request.messages == (QUESTION,)
    assert not task.done()
    gate.set()
    assert (await task)[-1].message.text == "done"
    assert llm.closed == 0


async def test_cancelling_a_blocked_model_is_recorded():
    llm = ScriptedLLM(["never"], gate=asyncio.Event())
    task = asyncio.create_task(ask(llm))
    await llm.asked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert llm.closed == 1


async def test_closing_early_is_recorded_and_closing_after_the_reply_is_not():
    llm = ScriptedLLM(["a long text in pieces", "b"])
    stream = llm.stream([QUESTION])
    await anext(stream)
    await stream.aclose()
    assert llm.closed == 1
    stream = llm.stream([QUESTION])
    while not isinstance(await anext(stream), Reply):
        pass
    await stream.aclose()
    assert llm.closed == 1
