"""Where limits, values, steering and takeovers meet in the loop."""

from __future__ import annotations

import asyncio

import pytest

from myagent.events import ReplyRejected, StepReset, ToolFinished
from myagent.exceptions import OutputInvalid, RunLimitReached
from myagent.llm import Usage
from myagent.llm.fallback import AnsweringModel, for_run
from myagent.llm.output_tool import OUTPUT_TOOL
from myagent.loop import react
from myagent.loop.checkpoint import AskedCall, Checkpoint
from myagent.loop.local_host import LocalHost
from myagent.messages import Message, ToolCall
from myagent.run_context import RunContext
from myagent.testing import Say, ScriptedLLM, call, output
from tests.myagent.loop.test_limited_model import Endless
from tests.myagent.loop.test_output_reader import TRIP, agent_of, lookup
from tests.myagent.loop.test_react import HI, agent_with, weather

pytestmark = pytest.mark.usefixtures("in_english")

OSLO = {"city": "Oslo"}


class Steered(LocalHost):
    """A host whose user says these things, one each time that the run reads what was said."""

    def __init__(self, *said):
        super().__init__()
        self.unread = list(said)

    async def said_meanwhile(self):
        return [Message.user(self.unread.pop(0))] if self.unread else []


async def collect(agent, llm, *, host=None, history=HI, **more):
    context = RunContext(session_id="s", run_id="r", agent="agent")
    events = react.run(agent, history, host=host or LocalHost(), context=context, llm=llm, **more)
    return [event async for event in events]


def asked(number, name="weather", arguments='{"city": "Oslo"}'):
    """A reply with one call, and its result."""
    made = ToolCall(id=f"c{number}", name=name, arguments=arguments)
    return [Message.assistant("", [made]), Message.tool("sunny", tool_call_id=made.id)]


def statuses(events):
    return [event.status for event in events if isinstance(event, ToolFinished)]


async def test_calls_before_a_message_that_was_read_count_after_a_takeover():
    history = [*HI, *asked(1), Message.user("and Rome")]
    before = Checkpoint(step=1, calls=[AskedCall(1, "weather", OSLO)])
    llm = ScriptedLLM(["So far."])
    events = await collect(agent_with(weather, max_tool_calls=1), llm, history=history, checkpoint=before)
    assert (events[-1].finish, events[-1].limit.used) == ("limit", 1)
    assert len(llm.requests) == 1


async def test_equal_calls_before_a_message_that_was_read_count_after_a_takeover():
    history = [*HI, *asked(1), *asked(2), *asked(3), Message.user("and again")]
    before = Checkpoint(step=3, calls=[AskedCall(step, "weather", OSLO) for step in (1, 2, 3)])
    llm = ScriptedLLM([call("weather", city="Oslo"), "It stays as it is."])
    events = await collect(agent_with(weather), llm, history=history, checkpoint=before)
    assert "3 times" in llm.requests[0].messages[-1].text
    assert statuses(events) == ["failed"] and events[-1].limit.which == "repeat_limit"


async def test_a_rejected_value_is_no_tool_call_after_a_takeover():
    first = ScriptedLLM([call("lookup", city="Paris"), output(to="Paris")])
    agent, stored = agent_of(tools=[lookup], max_tool_calls=2), [*HI, *asked(1, "lookup")]
    rejected = next(event for event in await until_rejected(agent, first) if isinstance(event, ReplyRejected))
    before = Checkpoint(step=2, calls=[AskedCall(1, "lookup", OSLO)])
    llm = ScriptedLLM([call("lookup", city="Rome"), output(**TRIP)])
    events = await collect(agent, llm, history=[*stored, *rejected.messages], checkpoint=before)
    assert statuses(events) == ["success"]
    assert (events[-1].output, events[-1].limit.used) == (TRIP, 2)


async def until_rejected(agent, llm):
    events = []
    context = RunContext(session_id="s", run_id="r", agent="agent")
    async for event in react.run(agent, HI, host=LocalHost(), context=context, llm=llm):
        events.append(event)
        if isinstance(event, ReplyRejected):
            return events
    raise AssertionError("nothing was rejected")


async def test_what_no_call_of_the_model_follows_is_not_read():
    host = Steered()
    llm = ScriptedLLM([Say(calls=asked(1)[0].tool_calls, usage=Usage(500, 0, 1))])
    agent = agent_with(weather, max_tokens=100)
    host.unread = []
    context = RunContext(session_id="s", run_id="r", agent="agent")
    with pytest.raises(RunLimitReached):
        async for event in react.run(agent, HI, host=host, context=context, llm=llm):
            if isinstance(event, ToolFinished):
                host.unread.append("one more thing")
    assert host.unread == ["one more thing"], "it is for the next run"


async def test_at_a_limit_steering_is_read_once_and_wins_no_further_calls():
    host = Steered("first", "second", "third", "fourth")
    wrong = [output(to="Paris")] * 9
    llm = ScriptedLLM([call("lookup", city="Paris"), *wrong])
    with pytest.raises(OutputInvalid):
        await collect(agent_of(tools=[lookup], max_steps=1), llm, host=host)
    assert len(llm.requests) == 1 + 1 and host.unread == ["third", "fourth"]


async def test_a_limit_is_reached_while_a_message_waits():
    host = Steered()
    llm = ScriptedLLM([call("weather", city="Oslo"), "Both, briefly."])
    context = RunContext(session_id="s", run_id="r", agent="agent")
    events = []
    async for event in react.run(agent_with(weather, max_tool_calls=1), HI, host=host, context=context, llm=llm):
        events.append(event)
        if isinstance(event, ToolFinished):
            host.unread.append("briefly")
    assert (events[-1].text, events[-1].finish) == ("Both, briefly.", "limit")
    assert [message.role for message in llm.requests[-1].messages[-4:]] == ["assistant", "tool", "user", "system"]


@pytest.mark.parametrize(
    ("limits", "usage", "calls"),
    [
        ({"max_steps": 2}, Usage(1, 1, 1), 3),
        ({"max_tool_calls": 2}, Usage(1, 1, 1), 3),
        ({"max_tokens": 25}, Usage(9, 1, 1), 4),
    ],
)
async def test_at_a_limit_the_model_is_asked_once_for_a_value(limits, usage, calls):
    """So that a run makes one call more than it may, whatever the model gives."""
    wrong = Say(calls=[ToolCall(id="v", name=OUTPUT_TOOL, arguments='{"to": "Paris"}')], usage=usage)
    steps = [
        Say(calls=asked(number, "lookup", f'{{"city": "{number}"}}')[0].tool_calls, usage=usage)
        for number in range(calls - 1)
    ]
    llm, events = ScriptedLLM([*steps, wrong, wrong, wrong]), []
    context = RunContext(session_id="s", run_id="r", agent="agent")
    running = react.run(agent_of(tools=[lookup], **limits), HI, host=LocalHost(), context=context, llm=llm)
    with pytest.raises(OutputInvalid) as invalid:
        async for event in running:
            events.append(event)
    assert len(llm.requests) == calls
    assert "final_output" in llm.requests[-1].messages[-1].text, "it was told that this is the last call"
    assert any("on" in problem for problem in invalid.value.details["problems"])
    assert isinstance(events[-1], ReplyRejected) and events[-1].usage.llm_calls == calls, "what it took is stored"


async def test_a_value_that_did_not_fit_before_the_limit_does_not_take_the_last_call():
    llm = ScriptedLLM([output(to="Paris"), output(**TRIP)])
    events = await collect(agent_of(max_steps=1), llm)
    assert (events[-1].output, events[-1].finish, len(llm.requests)) == (TRIP, "max_steps", 2)


class Silent:
    """A model that says nothing, for ever."""

    model = "silent"

    def __init__(self):
        self.requests = 0

    async def stream(self, messages, *, tools=()):
        self.requests += 1
        await asyncio.Event().wait()
        yield


async def test_a_model_that_was_silent_until_the_time_was_over_does_not_sum_up():
    first, second = Silent(), ScriptedLLM(["In short: no.", "never"], model="second")
    agent = agent_with(weather, max_seconds=0.2, llm=[first, second])
    events = await collect(agent, for_run(agent.llm))
    assert (events[-1].text, events[-1].finish, events[-1].limit.which) == ("In short: no.", "limit", "max_seconds")
    (reset,) = (event for event in events if isinstance(event, StepReset))
    assert (reset.reason, reset.answering) == ("fallback", AnsweringModel(1, "second")), "who takes over knows it"
    assert (first.requests, len(second.requests)) == (1, 1)


async def test_a_model_that_had_begun_to_answer_sums_up_itself():
    first, second = Endless(1, "In short: no."), ScriptedLLM(["never"], model="second")
    agent = agent_with(weather, max_seconds=0.2, llm=[first, second])
    events = await collect(agent, for_run(agent.llm))
    assert (events[-1].text, events[-1].finish) == ("In short: no.", "limit") and not second.requests
