"""Calls of one reply that wait for each other."""

import asyncio

import pytest

from myagent import create_react_agent, tool
from myagent.events import ModelReplied, ToolFinished, ToolStarted
from myagent.loop.call_order import line_up
from myagent.messages import ToolCall
from myagent.testing import Say, ScriptedLLM
from tests.myagent.loop.test_react import collect
from tests.myagent.loop.test_run_limits import asked

pytestmark = pytest.mark.usefixtures("in_english")


class Crowd:
    """How many are in it at the same time, and in which order they came."""

    def __init__(self):
        self.inside, self.most, self.order = 0, 0, []

    async def visit(self, who):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.order.append(who)
        for _ in range(5):
            await asyncio.sleep(0)
        self.inside -= 1
        return who


def calling(*calls):
    made = tuple(ToolCall(id=f"c{n}", name=name, arguments=f'{{"who": "{n}"}}') for n, name in enumerate(calls))
    return Say(calls=made)


def agent_of(crowd, **options):
    @tool
    async def free(who: str) -> str:
        """Beside others."""
        return await crowd.visit(who)

    @tool(sequential=True)
    async def click(who: str) -> str:
        """One after the other."""
        return await crowd.visit(who)

    return create_react_agent(tools=[free, click], **options)


async def run(crowd, *calls, **options):
    events = await collect(agent_of(crowd, **options), ScriptedLLM([calling(*calls), "done"]))
    outputs = {event.call.index: event.output for event in events if isinstance(event, ToolFinished)}
    assert outputs == {index: str(index) for index in range(len(calls))}
    return events


async def test_calls_run_beside_each_other_where_nothing_says_otherwise():
    await run(crowd := Crowd(), "free", "free", "free")
    assert crowd.most == 3


async def test_no_more_calls_run_at_once_than_the_agent_allows():
    events = await run(crowd := Crowd(), *["free"] * 5, max_parallel_tools=2)
    assert crowd.most == 2 and crowd.order == list("01234")
    (replied,) = (event for event in events if isinstance(event, ModelReplied))
    assert [call.waits for call in replied.calls] == [False, False, True, True, True]
    started = [event.call.index for event in events if isinstance(event, ToolStarted)]
    assert started == [2, 3, 4], "the start of one that waited is told when it starts"


async def test_sequential_calls_follow_each_other_while_others_run():
    events = await run(crowd := Crowd(), "click", "free", "click", "click")
    assert crowd.most == 2 and [who for who in crowd.order if who != "1"] == list("023")
    assert [event.call.index for event in events if isinstance(event, ToolStarted)] == [2, 3]


async def test_with_one_at_a_time_they_run_in_their_order():
    await run(crowd := Crowd(), "free", "click", "free", "click", max_parallel_tools=1)
    assert crowd.most == 1 and sorted(crowd.order) == list("0123")


def test_calls_that_never_wait_are_left_as_they_are():
    calls = asked("a", "b")
    assert line_up(calls, None) == calls
