"""Options of agents as authors write them, and agents that are classes."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

import pytest
from pydantic import Field

from myagent import Agent, AgentDefinitionError, BaseTool, Terminate, ToolCallAgent, ToolCollection, create_react_agent
from myagent.agent import DEFAULT_SYSTEM_PROMPT
from myagent.testing import ScriptedLLM

pytestmark = pytest.mark.usefixtures("in_english")


class Ping(BaseTool):
    name: str = "ping"
    description: str = "Pings"

    async def execute(self) -> str:
        return "pong"


class Choice(StrEnum):
    AUTO = "auto"
    REQUIRED = "required"


def test_none_is_the_default_where_it_was_the_originals():
    agent = create_react_agent(
        name="plain",
        llm=None,
        tools=None,
        system_prompt=None,
        next_step_prompt=None,
        tool_choice=None,
        max_steps=None,
        max_observe=None,
        memory=None,
    )
    assert (agent.system_prompt, agent.max_steps, len(agent.tools)) == (DEFAULT_SYSTEM_PROMPT, 20, 0)


@pytest.mark.parametrize("choice", ["auto", Choice.AUTO])
def test_what_is_so_anyway_may_be_said(choice):
    agent = create_react_agent(tool_choice=choice, special_tool_names=["terminate"], available_tools=[Ping()])
    assert agent.tools.names == ("ping",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tool_choice": "required"}, "The model decides which tools it calls"),
        ({"special_tool_names": ["finish"]}, "Terminate, or a class that is derived from it"),
        ({"llm_config": {"model": "x"}}, "OpenAILLM"),
        ({"model": "x"}, 'Write llm="the model"'),
        ({"instructions": "x"}, "Write system_prompt="),
        ({"memory": object()}, "stores each conversation by itself"),
        ({"trace_metadata": object()}, "enable_tracing=True"),
        ({"max_iterations": 3}, "Write max_steps="),
        ({"max_step": 3}, r"Did you mean max_steps\?"),
        ({"interrupt_before": ["tools"]}, "requires_confirmation=True"),
    ],
)
def test_what_is_not_here_is_refused_with_what_is(options, words):
    with pytest.raises(AgentDefinitionError, match=words):
        create_react_agent(**options)


def test_tools_in_the_place_of_the_name():
    with pytest.raises(AgentDefinitionError, match=r"the first is the name. Write tools=\[…\]"):
        ToolCallAgent(name=[Ping()])
    with pytest.raises(AgentDefinitionError, match="name=.*it should be text"):
        create_react_agent([Ping()])


class Desk(ToolCallAgent):
    name: str = "desk"
    description: str = Field(default="Answers")
    system_prompt: str = "You answer."
    available_tools: ToolCollection = Field(default_factory=lambda: ToolCollection(Ping(), Terminate()))
    special_tool_names: list[str] = Field(default_factory=lambda: [Terminate().name])
    tool_choices: str = "auto"
    max_steps: int = 7
    city: str = "Oslo"
    visits: list[str] = Field(default_factory=list)
    KINDS: ClassVar[tuple[str, ...]] = ("a",)


async def test_an_agent_as_a_class():
    desk = Desk(llm=ScriptedLLM(["Hello.", "Hello again."]), city="Rome")
    assert isinstance(desk, Agent)
    assert (desk.name, desk.description, desk.max_steps) == ("desk", "Answers", 7)
    assert desk.tools.names == ("ping", "terminate")
    assert (desk.city, desk.visits, Desk(name="other").city) == ("Rome", [], "Oslo")
    assert await desk.arun("Hi") == "Hello."
    assert await desk.run("Hi") == "Hello again."


def test_a_class_without_a_name_has_its_own():
    class Clerk(ToolCallAgent): ...

    assert Clerk(system_prompt=None).name == "Clerk"
    assert ToolCallAgent(name="x", available_tools=ToolCollection(Ping())).tools.names == ("ping",)


def test_an_unknown_keyword_is_refused():
    with pytest.raises(AgentDefinitionError, match=r"Desk\(\) has no option 'colour'"):
        Desk(colour="red")


@pytest.mark.parametrize("method", ["execute_tool", "act", "think", "step", "run", "arun", "_handle_special_tool"])
def test_a_method_that_would_be_passed_by_is_refused(method):
    def own(self: Any, *given: Any) -> None: ...

    for base in (ToolCallAgent, Desk):
        guarding = type("Guarding", (base,), {method: own, "__module__": __name__})
        with pytest.raises(AgentDefinitionError, match=rf"Guarding: .* passes {method}\(\) by"):
            guarding()
