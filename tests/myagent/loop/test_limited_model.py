"""Runs that reach a limit: the last call, its answer, and when there is none."""

import asyncio

import pytest

from myagent import tool
from myagent.events import LimitNear, LimitUse, ModelReplied, StepReset, ToolFinished
from myagent.exceptions import RunLimitReached
from myagent.llm import TextChunk, Usage
from myagent.loop.checkpoint import AskedCall, Checkpoint
from myagent.loop.limited_model import SUM_UP_PROMPT
from myagent.messages import Message, ToolCall
from myagent.testing import Say, ScriptedLLM, call
from tests.myagent.loop.test_react import HI, LocalHost, agent_with, collect, kinds, weather

pytestmark = pytest.mark.usefixtures("in_english")


def looks(*cities, tokens=0):
    made = tuple(ToolCall(id=f"c{city}", name="weather", arguments=f'{{"city": "{city}"}}') for city in cities)
    return Say(calls=made, usage=Usage(tokens, 0, 1))


def results(events):
    return [event.status for event in events if isinstance(event, ToolFinished)]


def told(llm):
    """The last thing that the model was sent, request by request."""
    return [request.messages[-1] for request in llm.requests]


async def test_at_its_tokens_a_run_is_summed_up_with_one_call_more():
    llm = ScriptedLLM([looks("A", tokens=40), looks("B", tokens=40), looks("C", tokens=40), "So far."])
    events = await collect(agent_with(weather, max_tokens=100, system_prompt=""), llm)
    assert (events[-1].finish, events[-1].text, events[-1].step) == ("limit", "So far.", 4)
    assert events[-1].limit == LimitUse(which="max_tokens", used=120, allowed=100)
    assert [event.use.used for event in events if isinstance(event, LimitNear)] == [80]
    assert told(llm)[-1] == Message.system(SUM_UP_PROMPT % {"what": "tokens"})
    assert llm.requests[-1].tools == ()


async def test_tokens_are_estimated_where_the_endpoint_does_not_tell():
    llm = ScriptedLLM([looks(*"ABC"), looks(*"DEF"), "So far."])
    events = await collect(agent_with(weather, max_tokens=100), llm)
    assert (events[-1].finish, events[-1].limit.which) == ("limit", "max_tokens")
    assert 0 < events[kinds(events).index(ModelReplied)].usage.input_tokens < 100


async def test_an_answer_within_the_limits_is_an_answer():
    events = await collect(agent_with(weather, max_tokens=10), ScriptedLLM([Say(text="Yes.", usage=Usage(500, 0, 1))]))
    assert (events[-1].finish, events[-1].limit) == ("answer", None)


async def test_a_run_that_is_far_beyond_its_tokens_is_not_even_summed_up():
    llm = ScriptedLLM([looks("A", tokens=500)])
    with pytest.raises(RunLimitReached) as caught:
        await collect(agent_with(weather, max_tokens=100), llm)
    assert caught.value.code == "run_limit"
    assert caught.value.details == {"limit": {"which": "max_tokens", "used": 500, "allowed": 100}}
    assert len(llm.requests) == 1


async def test_calls_beyond_their_number_are_told_to_the_model_and_not_run():
    llm = ScriptedLLM([looks("A"), looks("B", "C", "D"), "So far."])
    events = await collect(agent_with(weather, max_tool_calls=2), llm)
    assert results(events) == ["success", "failed", "failed", "success"]
    assert events[-1].limit == LimitUse(which="max_tool_calls", used=4, allowed=2)
    *_, first, second, third, _note = llm.requests[-1].messages
    assert first.text == "sunny in B" and "Not run" in second.text and "Not run" in third.text


async def test_the_same_call_again_and_again():
    llm = ScriptedLLM([*[call("weather", city="A")] * 4, "It stays as it is."])
    events = await collect(agent_with(weather), llm)
    assert results(events) == ["success"] * 3 + ["failed"]
    assert [message.role for message in told(llm)] == ["user", "tool", "tool", "system", "system"]
    assert "3 times" in told(llm)[3].text
    assert (events[-1].finish, events[-1].text) == ("limit", "It stays as it is.")
    assert events[-1].limit == LimitUse(which="repeat_limit", used=4, allowed=3)


async def test_a_model_that_listens_goes_on():
    llm = ScriptedLLM([*[call("weather", city="A")] * 3, call("weather", city="B"), "Fine."])
    events = await collect(agent_with(weather), llm)
    assert (events[-1].finish, results(events)) == ("answer", ["success"] * 4)
    assert [message.role for message in told(llm)] == ["user", "tool", "tool", "system", "tool"], "told once"


class Endless:
    """Says a word and then nothing, as often as it is told; after that it says what is left."""

    model = "endless"

    def __init__(self, times, then):
        self.times, self.then, self.asked = times, then, 0

    async def stream(self, messages, *, tools=()):
        self.asked += 1
        if self.asked <= self.times:
            yield TextChunk("well")
            await asyncio.Event().wait()
        async for chunk in ScriptedLLM([self.then]).stream(messages, tools=tools):
            yield chunk


async def test_a_model_that_finds_no_end_is_stopped_at_the_time():
    llm = Endless(1, "In short: no.")
    events = await collect(agent_with(weather, max_seconds=0.2), llm)
    assert [event.reason for event in events if isinstance(event, StepReset)] == ["limit"]
    assert (events[-1].finish, events[-1].text, events[-1].step) == ("limit", "In short: no.", 1)
    assert events[-1].limit.which == "max_seconds" and events[-1].limit.used >= 0.2
    assert events[-1].usage.llm_calls == 2, "the one that was stopped was one"


async def test_a_last_call_that_finds_no_end_either_is_an_error():
    with pytest.raises(RunLimitReached) as caught:
        await collect(agent_with(weather, max_seconds=0.1), Endless(2, "never"))
    assert caught.value.details["limit"]["which"] == "max_seconds"


@tool(timeout=None)
async def doze() -> str:
    """Sleeps for ever."""
    await asyncio.Event().wait()


async def test_a_tool_is_stopped_at_the_time_of_the_run():
    events = await collect(agent_with(doze, max_seconds=0.2), ScriptedLLM([call("doze"), "It sleeps."]))
    (finished,) = (event for event in events if isinstance(event, ToolFinished))
    assert (finished.status, finished.error) == ("failed", "doze was stopped: the time of this answer is over.")
    assert (events[-1].finish, events[-1].text) == ("limit", "It sleeps.")


@tool(requires_confirmation=True)
async def order(what: str) -> str:
    """Orders."""
    return what


async def test_the_time_in_which_a_person_is_asked_does_not_count():
    async def after_a_while(_request):
        await asyncio.sleep(0.4)
        return True

    llm = ScriptedLLM([call("order", what="tea"), "Ordered."])
    events = await collect(agent_with(order, max_seconds=0.3), llm, host=LocalHost(after_a_while))
    assert (events[-1].finish, results(events)) == ("answer", ["success"])


async def test_a_resumed_run_keeps_to_what_is_left():
    reply = Message.assistant("", tool_calls=looks("B", "C").calls)
    checkpoint = Checkpoint(
        step=2,
        usage=Usage(50, 0, 2),
        calls=[AskedCall(1, "weather", {"city": "A"}), *(AskedCall(2, "weather", {"city": city}) for city in "BC")],
    )
    history = [*HI, reply, *(Message.tool("sunny", tool_call_id=made.id) for made in reply.tool_calls)]
    llm = ScriptedLLM(["So far."])
    events = await collect(agent_with(weather, max_tool_calls=3), llm, history, checkpoint=checkpoint)
    assert not [event for event in events if isinstance(event, ModelReplied)]
    assert events[-1].limit == LimitUse(which="max_tool_calls", used=3, allowed=3)
