"""Tools that a function of the run chooses."""

import asyncio
import threading

import pytest

from myagent import (
    AgentDefinitionError,
    BaseTool,
    Refuse,
    RunContext,
    ToolCallAgent,
    create_react_agent,
    current_run,
    tool,
)
from myagent.events import RunFinished, ToolFinished
from myagent.exceptions import HookFailed
from myagent.loop.checkpoint import Checkpoint, OpenCall
from myagent.messages import Message, ToolCall
from myagent.testing import ScriptedLLM, call
from tests.myagent.loop.test_react import collect, kinds, weather

pytestmark = pytest.mark.usefixtures("in_english")


@tool
def wipe(what: str) -> str:
    """Wipes."""
    return f"wiped {what}"


def tools_of(request):
    return [schema["function"]["name"] for schema in request.tools]


async def test_each_run_has_the_tools_that_the_function_gives_it():
    asked = []

    async def choose(run: RunContext):
        asked.append((run.user, current_run().run_id))
        return [weather, wipe] if len(asked) > 1 else [weather]

    agent = create_react_agent(tools=choose)
    for names in (["weather"], ["weather", "wipe"]):
        llm = ScriptedLLM([call("weather", city="Oslo"), "Sunny."])
        assert (await collect(agent, llm))[-1].text == "Sunny."
        assert [tools_of(request) for request in llm.requests] == [names, names], "frozen for the run"
    assert asked == [(None, "r"), (None, "r")]
    assert len(agent.tools) == 0 and agent.tools.function is choose, "the agent itself has none"


async def test_a_plain_function_runs_where_it_may_block():
    threads = []

    def choose():
        threads.append(threading.current_thread())
        yield weather
        yield lambda_free

    def lambda_free(word: str) -> str:
        """A plain function."""
        return word

    llm = ScriptedLLM([call("lambda_free", word="hi"), "ok"])
    assert await create_react_agent(tools=choose, llm=llm).arun("x") == "ok"
    assert threads and threads[0] is not threading.main_thread()
    assert llm.requests[1].messages[-1].text == "hi"


async def test_no_tools_at_all():
    llm = ScriptedLLM(["ok"])
    await collect(create_react_agent(tools=lambda run: None), llm)
    assert llm.requests[0].tools == ()


@pytest.mark.parametrize(
    "choose",
    [
        lambda run: 1 / 0,
        lambda run: 5,
        lambda run: ["weather"],
        lambda run: [weather, weather],
        lambda run: BaseTool,
        lambda run: lambda: [weather],
    ],
)
async def test_what_fails_or_is_no_tool_ends_the_run_in_words(choose, caplog):
    llm = ScriptedLLM([])
    with pytest.raises(HookFailed, match="lambda"):
        await collect(create_react_agent(tools=choose), llm)
    assert not llm.requests and "Traceback" in caplog.text


async def test_a_tool_may_not_have_the_name_of_the_output():
    @tool
    def final_output(value: str) -> str:
        """Hides the output's own tool."""
        return value

    agent = create_react_agent(tools=lambda run: [final_output], output={"type": "object", "properties": {}})
    with pytest.raises(HookFailed, match="final_output"):
        await collect(agent, ScriptedLLM([]))


@pytest.mark.parametrize("option", ["tools", "system_prompt"])
async def test_a_function_may_refuse_the_run(option):
    def choose(run):
        raise Refuse("Not for guests.")

    events = await collect(create_react_agent(**{option: choose}), ScriptedLLM([]))
    assert events == [
        RunFinished(step=0, text="Not for guests.", finish="refused", message=Message.assistant("Not for guests."))
    ]


async def test_a_call_in_the_log_whose_tool_is_gone_has_a_result_that_says_so():
    called = Message.assistant("", [ToolCall(id="c", name="wipe", arguments='{"what": "all"}')])
    llm = ScriptedLLM(["I cannot wipe."])
    checkpoint = Checkpoint(step=1, open_calls={0: OpenCall(asked=True)})
    events = await collect(
        create_react_agent(tools=lambda run: [weather]), llm, [Message.user("wipe"), called], checkpoint=checkpoint
    )
    (result,) = [event for event in events if isinstance(event, ToolFinished)]
    assert (result.status, result.error) == ("failed", "There is no tool 'wipe'. Available are: weather.")
    assert events[-1].text == "I cannot wipe." and not result.call.is_known


async def test_side_by_side_runs_of_one_agent_have_tools_of_their_own():
    names = iter(("a", "b"))
    both = asyncio.Barrier(2)

    async def choose(run):
        name = next(names)
        await both.wait()

        def own() -> str:
            return name

        return [tool(own, name=name)]

    agent = create_react_agent(tools=choose)
    llms = ScriptedLLM([call("a"), "ok"]), ScriptedLLM([call("b"), "ok"])
    runs = await asyncio.gather(*(collect(agent, llm) for llm in llms))
    assert [event.output for run in runs for event in run if isinstance(event, ToolFinished)] == ["a", "b"]
    assert all(kinds(run)[-1] is RunFinished for run in runs)


async def test_a_class_may_have_it_as_a_method():
    class Chooser(ToolCallAgent):
        def tools(self, run):
            return [weather]

    llm = ScriptedLLM(["ok"])
    await collect(Chooser(name="chooser"), llm)
    assert tools_of(llm.requests[0]) == ["weather"]


@pytest.mark.parametrize(
    "choose", [lambda run, user: [], weather.execute if hasattr(weather, "execute") else len, BaseTool, 5]
)
def test_what_cannot_choose_is_refused(choose):
    with pytest.raises(AgentDefinitionError):
        create_react_agent(tools=choose)


def test_the_only_tool_without_brackets_is_told_at_once():
    def read_note(note: str) -> str:
        """Reads a note."""
        return note

    with pytest.raises(AgentDefinitionError, match="should be a list"):
        create_react_agent(tools=read_note)
