"""What an agent file defines, and running it without a server."""

import asyncio

import pytest

from myagent import AgentDefinitionError, BaseTool, Message, create_react_agent, create_toolcall_agent, tool
from myagent.agent import DEFAULT_SYSTEM_PROMPT
from myagent.exceptions import LLMAuthError
from myagent.llm.openai import OpenAILLM
from myagent.testing import ScriptedLLM, call

pytestmark = pytest.mark.usefixtures("in_english")


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


class Delete(BaseTool):
    name = "delete"
    description = "Delete it"
    requires_confirmation = True

    async def execute(self) -> str:
        return "deleted"


def test_the_defaults():
    agent = create_react_agent()
    assert (agent.name, agent.system_prompt, agent.max_steps) == ("agent", DEFAULT_SYSTEM_PROMPT, 20)
    assert (agent.when_busy, agent.enable_tracing, agent.llm, len(agent.tools)) == ("queue", False, None, 0)


def test_all_options_of_the_seed():
    agent = create_react_agent(
        name="advanced-agent",
        tools=[weather, Delete()],
        system_prompt="...",
        next_step_prompt="...",
        max_steps=10,
        enable_tracing=True,
    )
    assert agent.tools.names == ("weather", "delete")
    assert agent.enable_tracing


def test_the_other_name_makes_the_same():
    assert create_toolcall_agent("x", [weather], "y").name == "x"


def test_unknown_options_are_refused_with_those_that_are_known():
    with pytest.raises(AgentDefinitionError) as error:
        create_react_agent(max_step=3, colour="red")
    text = str(error.value)
    assert "'colour', 'max_step'" in text
    for option in ("max_steps", "next_step_prompt", "tools", "when_busy", "context_window", "compact"):
        assert option in text


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", ""), ("name", "  "), ("name", 5), ("system_prompt", 5), ("description", 5),
        ("next_step_prompt", 5), ("max_steps", 0), ("max_steps", -1), ("max_steps", 2.5), ("max_steps", True),
        ("max_steps", "3"), ("context_window", 0), ("max_observe", 0), ("max_observe", "x"), ("when_busy", "wait"),
        ("compact", "forget"), ("compact", None), ("context_window", "x"), ("accepts", "pictures"), ("accepts", 3),
        ("examples", "How?"), ("examples", [5]), ("examples", [" "]), ("examples", ["x" * 201]),
        ("examples", ["x"] * 13),
        ("tools", 5), ("tools", [Delete]), ("tools", [weather, weather]), ("tools", [5]),
    ],
)  # fmt: skip
def test_options_that_cannot_be(option, value):
    with pytest.raises(AgentDefinitionError, match="tool" if option == "tools" else option):
        create_react_agent(**{option: value})


def test_the_model_may_be_given_by_name():
    agent = create_react_agent(llm="some-model")
    assert isinstance(agent.llm, OpenAILLM)
    assert agent.llm.model == "some-model"


async def test_arun_answers():
    llm = ScriptedLLM([call("weather", city="X"), "Sunny."])
    agent = create_react_agent(tools=[weather], llm=llm)
    assert await agent.arun("How is it?") == "Sunny."
    assert llm.requests[1].messages[-1].text == "sunny in X"


async def test_arun_takes_earlier_messages_and_keeps_none():
    llm = ScriptedLLM(["one", "two"])
    agent = create_react_agent(llm=llm, system_prompt="")
    before = [Message.user("a"), Message.assistant("b")]
    await agent.arun("c", history=before)
    await agent.arun([{"type": "text", "text": "d"}])
    assert [message.text for message in llm.requests[0].messages] == ["a", "b", "c"]
    assert [message.text for message in llm.requests[1].messages] == ["d"]
    assert len(before) == 2


@pytest.mark.parametrize(("says", "told"), [(True, "deleted"), (False, "declined")])
async def test_arun_asks_whom_it_is_told_to_ask(says, told):
    asked = []

    async def confirm(request):
        asked.append(request.tool_name)
        return says

    llm = ScriptedLLM([call("delete"), "ok"])
    await create_react_agent(tools=[Delete()], llm=llm).arun("x", confirm=confirm)
    assert asked == ["delete"]
    assert told in llm.requests[1].messages[-1].text


async def test_arun_declines_when_there_is_nobody_to_ask():
    llm = ScriptedLLM([call("delete"), "ok"])
    await create_react_agent(tools=[Delete()], llm=llm).arun("x")
    assert "did not answer" in llm.requests[1].messages[-1].text


async def test_arun_raises_what_the_model_raises():
    with pytest.raises(LLMAuthError):
        await create_react_agent(llm=ScriptedLLM([LLMAuthError("wrong key")])).arun("x")


async def test_cancelling_arun_closes_the_stream():
    llm = ScriptedLLM(["x"], gate=asyncio.Event())
    task = asyncio.create_task(create_react_agent(llm=llm).arun("x"))
    await llm.asked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert llm.closed == 1


async def test_the_same_agent_runs_many_times_at_once():
    agent = create_react_agent(llm=ScriptedLLM(["same"] * 10))
    assert await asyncio.gather(*(agent.arun(str(number)) for number in range(10))) == ["same"] * 10
