"""Answers that are values, in the loop: accepted, rejected, and counted with what the history has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest
from pydantic import BaseModel, model_validator

from myagent import AgentDefinitionError, create_react_agent
from myagent.events import ModelReplied, ReplyRejected, RunFinished, StepReset, TextDelta
from myagent.exceptions import OutputInvalid
from myagent.llm.demo import DemoLLM
from myagent.llm.output_tool import OUTPUT_TOOL, OutputTool
from myagent.loop import react
from myagent.loop.checkpoint import Checkpoint
from myagent.loop.local_host import LocalHost
from myagent.messages import Message, ProviderData
from myagent.run_context import RunContext
from myagent.testing import Say, ScriptedLLM, call, output
from myagent.tool.terminate import Terminate

pytestmark = pytest.mark.usefixtures("in_english")

HI = [Message.user("hi")]


@dataclass
class Trip:
    to: str
    on: date


class Node(BaseModel):
    name: str
    inside: list[Node] = []


def lookup(city: str) -> str:
    """Look a city up."""
    return f"{city} is there"


async def collect(agent, llm, history=HI, checkpoint=None):
    context = RunContext(session_id="s", run_id="r", agent="agent")
    more = {} if checkpoint is None else {"checkpoint": checkpoint}
    return [event async for event in react.run(agent, history, host=LocalHost(), context=context, llm=llm, **more)]


def agent_of(kind=Trip, **options):
    return create_react_agent(output=kind, **options)


TRIP = {"to": "Paris", "on": "2031-05-06"}


@pytest.mark.parametrize(
    "line",
    [output(**TRIP), '{"to": "Paris", "on": "2031-05-06"}', 'So:\n```\n{"to": "Paris", "on": "2031-05-06"}\n```'],
)
async def test_a_value_is_taken_however_it_comes(line):
    events = await collect(agent_of(), ScriptedLLM([line]))
    end = events[-1]
    assert end.output == TRIP and end.instance == Trip("Paris", date(2031, 5, 6))
    assert not end.message.tool_calls
    assert not any("{" in event.text for event in events if isinstance(event, TextDelta))


async def test_arun_returns_the_object():
    assert await agent_of(llm=ScriptedLLM([output(**TRIP)])).arun("go") == Trip("Paris", date(2031, 5, 6))
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert await agent_of(schema, llm=ScriptedLLM([output(n=1)])).arun("go") == {"n": 1}
    node = await agent_of(Node, llm=ScriptedLLM([output(name="a", inside=[{"name": "b"}])])).arun("go")
    assert node == Node(name="a", inside=[Node(name="b")])


async def test_shown_text_of_a_rejected_reply_is_void():
    events = await collect(agent_of(), ScriptedLLM(["I would say Paris", output(**TRIP)]))
    kinds = [type(event) for event in events]
    assert kinds.index(StepReset) < kinds.index(ReplyRejected)
    assert isinstance(events[-1], RunFinished)


async def test_the_third_that_does_not_fit_is_the_end_also_when_its_owner_died():
    llm = ScriptedLLM([output(to="Paris"), output(to=1, on="x"), "no idea"])
    rejected = []
    with pytest.raises(OutputInvalid) as raised:
        context = RunContext(session_id="s", run_id="r", agent="agent")
        async for event in react.run(agent_of(), HI, host=LocalHost(), context=context, llm=llm):
            if isinstance(event, ReplyRejected):
                rejected += event.messages
    assert raised.value.details["problems"][0] == "there is no value in it"
    assert any(problem.startswith("on:") for problem in raised.value.details["problems"])
    # From what is stored: nobody is asked again.
    with pytest.raises(OutputInvalid) as again:
        await collect(agent_of(), ScriptedLLM(), [*HI, *rejected], Checkpoint(step=3))
    assert again.value.details == raised.value.details


async def test_the_model_is_told_the_paths():
    llm = ScriptedLLM([output(name="a", inside=[{"name": "b"}, {}]), output(name="a")])
    await collect(agent_of(Node), llm)
    told = llm.requests[1].messages[-1]
    assert told.role == "tool" and "inside.1.name: it is missing" in told.text


async def test_a_value_beside_calls_is_made_up():
    data = ProviderData(endpoint="e", model="m", message={}, calls=({"a": 1}, {"b": 2}))
    llm = ScriptedLLM([(output(**TRIP), call("lookup", city="Paris")), output(**TRIP)])
    events = await collect(agent_of(tools=[lookup]), llm)
    (replied,) = [event for event in events if isinstance(event, ModelReplied)]
    assert [made.name for made in replied.message.tool_calls] == ["lookup"]
    assert isinstance(llm.requests[0].tools[-1], OutputTool) and not llm.requests[0].tools[-1].may_be_native
    assert data.calls


async def test_terminate_does_not_end_it():
    llm = ScriptedLLM([call("terminate", status="success", answer="done"), output(**TRIP)])
    assert (await collect(agent_of(tools=[Terminate()]), llm))[-1].output == TRIP


async def test_a_cut_value_says_so():
    llm = ScriptedLLM([Say(text='{"to": "Pa', finish="length"), output(**TRIP)])
    await collect(agent_of(), llm)
    assert "length limit" in llm.requests[1].messages[-1].text


async def test_what_an_earlier_run_was_told_does_not_count():
    before = [*HI]
    for number in range(3):
        before += [
            Message.assistant("", [call(OUTPUT_TOOL).__class__(id=f"c{number}", name=OUTPUT_TOOL, arguments="{}")]),
            Message.tool("The answer does not fit its schema:\n- to: it is missing", tool_call_id=f"c{number}"),
        ]
    llm = ScriptedLLM([output(**TRIP)])
    assert (await collect(agent_of(), llm, [*before, Message.user("again")]))[-1].output == TRIP
    assert not llm.requests[0].tools[-1].may_be_native, "calls are part of these messages"


class Fussy(BaseModel):
    n: int

    @model_validator(mode="after")
    def check(self):
        raise ZeroDivisionError


async def test_a_validator_with_a_bug_is_no_end_of_the_server():
    with pytest.raises(OutputInvalid, match="ZeroDivisionError"):
        await agent_of(Fussy, llm=ScriptedLLM([output(n=1)] * 3)).arun("go")


@pytest.mark.parametrize(
    "kind", ["Trip", int, {"type": "array"}, {"properties": {"a": {"type": "nope"}}}, Trip("a", date.min)]
)
def test_what_is_no_output_is_refused(kind):
    with pytest.raises(AgentDefinitionError, match="output"):
        agent_of(kind)


def test_a_tool_cannot_have_its_name():
    def final_output(city: str) -> str:
        """A tool."""
        return city

    with pytest.raises(AgentDefinitionError, match="another name"):
        agent_of(tools=[final_output])
    assert create_react_agent(tools=[final_output]).output is None


@pytest.mark.parametrize("kind", [Trip, Node])
async def test_the_demo_model_makes_a_value_up(kind):
    value = await agent_of(kind, llm=DemoLLM(delay=0)).arun("To Paris for 3 days")
    assert isinstance(value, kind)
