"""The loop: messages in, a list of events out."""

import asyncio
from contextlib import aclosing

import pytest

from myagent import create_react_agent, react, tool
from myagent.events import (
    ModelReplied,
    ReasoningDelta,
    RunFinished,
    StepReset,
    StepStarted,
    TextDelta,
    ToolFinished,
)
from myagent.exceptions import ContextOverflow, LLMAuthError, LLMUnavailable, StreamCut
from myagent.host import RunContext
from myagent.llm import TextChunk, Usage
from myagent.local_host import LocalHost
from myagent.messages import Message
from myagent.testing import Say, ScriptedLLM, call, cut
from myagent.tool.terminate import Terminate

HI = [Message.user("hi")]


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


def agent_with(*tools, **options):
    return create_react_agent(tools=tools, **options)


def context(**fields):
    return RunContext(session_id="s", run_id="r", agent="agent", **fields)


def run(agent, llm, history=HI, host=None):
    return react.run(agent, history, host=host or LocalHost(), context=context(), llm=llm)


async def collect(agent, llm, history=HI, host=None):
    async with aclosing(run(agent, llm, history, host)) as stream:
        return [event async for event in stream]


def kinds(events):
    return [type(event) for event in events]


def texts(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_an_answer_is_streamed_and_finishes_the_run():
    llm = ScriptedLLM([Say(text="It is sunny.", usage=Usage(7, 3, 1))])
    events = await collect(agent_with(weather, system_prompt="Be kind."), llm)
    assert kinds(events)[0] is StepStarted
    assert set(kinds(events)[1:-1]) == {TextDelta}
    assert texts(events) == "It is sunny."
    assert events[-1] == RunFinished(
        step=1,
        text="It is sunny.",
        finish="answer",
        message=Message.assistant("It is sunny."),
        usage=Usage(7, 3, 1),
    )
    (request,) = llm.requests
    assert request.messages == (Message.system("Be kind."), *HI)
    assert [schema["function"]["name"] for schema in request.tools] == ["weather"]


async def test_results_go_back_to_the_model_and_usage_adds_up():
    llm = ScriptedLLM([call("weather", city="X"), "Sunny."])
    events = await collect(agent_with(weather), llm)
    assert [kind for kind in kinds(events) if kind is not TextDelta] == [
        StepStarted, ModelReplied, ToolFinished, StepStarted, RunFinished,
    ]  # fmt: skip
    assert [message.role for message in llm.requests[1].messages] == ["system", "user", "assistant", "tool"]
    assert llm.requests[1].messages[-1].text == "sunny in X"
    assert events[-1].usage.llm_calls == 2
    assert events[-1].step == 2


async def test_an_empty_system_prompt_is_left_out():
    llm = ScriptedLLM(["ok"])
    await collect(agent_with(system_prompt=""), llm)
    assert llm.requests[0].messages == tuple(HI)


async def test_the_next_step_prompt_is_the_last_message_of_every_request_and_not_kept():
    llm = ScriptedLLM([call("weather", city="X"), "Sunny."])
    await collect(agent_with(weather, next_step_prompt="Think."), llm)
    for request in llm.requests:
        assert request.messages[-1] == Message.system("Think.")
        assert request.messages.count(Message.system("Think.")) == 1


async def test_reasoning_is_shown_and_never_fed_back():
    llm = ScriptedLLM([Say(calls=[call("weather", city="X")], reasoning="Let me see"), "Sunny."])
    events = await collect(agent_with(weather), llm)
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "Let me see"
    assert not [message for message in llm.requests[1].messages if "Let me see" in message.text]


async def test_at_the_limit_of_steps_the_model_sums_up_without_tools():
    llm = ScriptedLLM([call("weather", city="X"), call("weather", city="Y"), Say(text="So far: sunny.")])
    events = await collect(agent_with(weather, max_steps=2), llm)
    assert llm.requests[2].tools == ()
    assert llm.requests[2].messages[-1] == Message.system(react.SUM_UP_PROMPT)
    assert (events[-1].finish, events[-1].step, events[-1].text) == ("max_steps", 3, "So far: sunny.")


async def test_calls_in_the_summing_up_are_not_run():
    llm = ScriptedLLM([call("weather", city="X"), Say(text="Enough.", calls=[call("weather", city="Z")])])
    events = await collect(agent_with(weather, max_steps=1), llm)
    assert kinds(events).count(ToolFinished) == 1
    assert events[-1].message == Message.assistant("Enough.")


@pytest.mark.parametrize(
    ("reply", "text", "message"),
    [
        (Say(text="Bye.", calls=[call("terminate", status="success")]), "Bye.", None),
        (call("terminate", status="success", answer="42"), "42", Message.assistant("42")),
    ],
)
async def test_terminate_ends_the_run(reply, text, message):
    events = await collect(agent_with(Terminate()), ScriptedLLM([reply]))
    assert kinds(events)[-2] is ToolFinished
    assert (events[-1].finish, events[-1].text, events[-1].message) == ("terminate", text, message)


async def test_terminate_without_a_word_says_something():
    events = await collect(agent_with(Terminate()), ScriptedLLM([call("terminate", status="success")]))
    assert events[-1].text
    assert events[-1].message == Message.assistant(events[-1].text)


async def test_a_wrong_call_of_terminate_ends_nothing():
    llm = ScriptedLLM([call("terminate", status="maybe"), "Then so."])
    events = await collect(agent_with(Terminate()), llm)
    assert (events[-1].finish, events[-1].text) == ("answer", "Then so.")


# --- a model that breaks off ---


async def test_a_cut_stream_is_asked_again_and_what_was_shown_is_void():
    llm = ScriptedLLM([cut("It is rai"), "It is sunny."])
    events = await collect(agent_with(), llm)
    (reset,) = [event for event in events if isinstance(event, StepReset)]
    assert (reset.step, reset.reason) == (1, "stream_cut")
    assert texts(events[: events.index(reset)]) == "It is rai"
    assert texts(events[events.index(reset) :]) == "It is sunny."
    assert llm.requests[0] == llm.requests[1]
    assert events[-1].usage.llm_calls == 2


async def test_a_stream_cut_before_anything_was_shown_needs_no_reset():
    events = await collect(agent_with(), ScriptedLLM([cut(), "ok"]))
    assert StepReset not in kinds(events)
    assert events[-1].text == "ok"


async def test_reasoning_that_was_shown_is_void_too():
    llm = ScriptedLLM([Say(reasoning="Hmm", then=StreamCut("cut")), "ok"])
    assert StepReset in kinds(await collect(agent_with(), llm))


async def test_a_stream_that_ends_without_a_reply_is_a_cut_one():
    class Forgetful(ScriptedLLM):
        async def stream(self, messages, *, tools=()):
            async with aclosing(super().stream(messages, tools=tools)) as stream:
                async for chunk in stream:
                    if len(self.requests) > 1 or isinstance(chunk, TextChunk):
                        yield chunk

    llm = Forgetful([call("weather", city="X"), call("weather", city="X"), "Sunny."])
    events = await collect(agent_with(weather), llm)
    assert kinds(events).count(ToolFinished) == 1
    assert events[-1].text == "Sunny."


async def test_three_cuts_are_enough():
    events = []
    llm = ScriptedLLM([cut("a"), cut("b"), cut("c"), "never"])
    with pytest.raises(LLMUnavailable, match="3"):
        async with aclosing(run(agent_with(), llm)) as stream:
            async for event in stream:
                events.append(event)
    assert kinds(events).count(StepReset) == 2
    assert llm.remaining == 1


async def test_each_step_has_its_own_attempts():
    llm = ScriptedLLM([cut(), cut(), call("weather", city="X"), cut(), cut(), "Sunny."])
    assert (await collect(agent_with(weather), llm))[-1].text == "Sunny."


async def test_what_the_model_raises_ends_the_run():
    with pytest.raises(LLMAuthError, match="key"):
        await collect(agent_with(), ScriptedLLM([LLMAuthError("wrong key")]))


# --- the window ---


def long_history(turns=8):
    history = []
    for number in range(turns):
        history += [Message.user(f"question {number} " + "x" * 300), Message.assistant(f"answer {number}")]
    return [*history, Message.user("the last one")]


async def test_a_history_that_is_too_long_is_halved_until_it_fits():
    llm = ScriptedLLM([ContextOverflow("too long"), ContextOverflow("too long"), "ok"])
    events = await collect(agent_with(), llm, long_history())
    sizes = [len(request.messages) for request in llm.requests]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[1] <= sizes[0] // 2 + 2
    assert {request.messages[-1].text for request in llm.requests} == {"the last one"}
    assert all(request.messages[1].role == "user" for request in llm.requests)
    assert events[-1].text == "ok"


async def test_a_history_that_cannot_be_shortened_ends_the_run():
    llm = ScriptedLLM([ContextOverflow("too long"), "never"])
    with pytest.raises(ContextOverflow):
        await collect(agent_with(), llm)
    assert llm.remaining == 1


async def test_the_system_prompt_takes_its_part_of_the_window():
    llm = ScriptedLLM(["ok"])
    await collect(agent_with(system_prompt="y" * 3500, context_window=1200), llm, long_history())
    assert 2 < len(llm.requests[0].messages) < 8


# --- whoever drives it ---


async def test_a_tool_runs_only_after_its_call_was_noted():
    ran = []

    @tool
    async def note() -> str:
        """Note."""
        ran.append(True)
        return "done"

    async with aclosing(run(agent_with(note), ScriptedLLM([call("note"), "ok"]))) as stream:
        async for event in stream:
            if isinstance(event, ModelReplied):
                for _ in range(10):  # whatever could run, would run now
                    await asyncio.sleep(0)
                assert not ran
    assert ran


async def test_closing_the_generator_closes_the_stream_of_the_model():
    llm = ScriptedLLM(["a long answer that is streamed in many pieces"])
    stream = run(agent_with(), llm)
    async for event in stream:
        if isinstance(event, TextDelta):
            break
    await stream.aclose()
    assert llm.closed == 1


async def test_cancelling_the_driver_closes_the_stream_of_the_model():
    llm = ScriptedLLM(["never"], gate=asyncio.Event())
    task = asyncio.create_task(collect(agent_with(), llm))
    await llm.asked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert llm.closed == 1


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_giving_up_stops_the_tools(how):
    begun, stopped = asyncio.Event(), asyncio.Event()

    @tool
    async def forever() -> str:
        """Never end."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    @tool
    async def quick() -> str:
        """End at once."""
        await begun.wait()
        return "quick"

    llm = ScriptedLLM([[call("forever"), call("quick")]])
    stream = run(agent_with(forever, quick), llm)
    async for event in stream:
        if isinstance(event, ToolFinished):
            break
    if how == "close":
        await stream.aclose()
    else:
        task = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert stopped.is_set()


async def test_an_agent_is_shared_by_runs_side_by_side():
    agent = agent_with(weather)
    scripts = [ScriptedLLM([call("weather", city=str(number)), f"answer {number}"]) for number in range(5)]
    runs = await asyncio.gather(*(collect(agent, llm) for llm in scripts))
    assert [events[-1].text for events in runs] == [f"answer {number}" for number in range(5)]
    assert [llm.requests[1].messages[-1].text for llm in scripts] == [f"sunny in {number}" for number in range(5)]
