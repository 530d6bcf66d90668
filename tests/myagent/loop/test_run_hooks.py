"""Hooks, and a system prompt that is a function: what they change, what they refuse, and how they fail."""

import dataclasses

import pytest

from myagent import (
    AgentDefinitionError,
    HookedAnswer,
    HookedCall,
    Message,
    Refuse,
    RunContext,
    ToolFailed,
    ToolResult,
    create_react_agent,
    current_run,
    hook,
    tool,
)
from myagent.events import ReasoningDelta, RunFinished, StepReset, TextDelta, ToolFinished, ToolStarted
from myagent.exceptions import HookFailed
from myagent.loop.checkpoint import Checkpoint, OpenCall
from myagent.loop.host import Decision
from myagent.loop.local_host import LocalHost
from myagent.messages import ToolCall
from myagent.testing import Say, ScriptedLLM, call, cut
from tests.myagent.loop.test_react import agent_with, collect, kinds, texts, weather

pytestmark = pytest.mark.usefixtures("in_english")


def finished(events):
    assert [type(event) for event in events].count(RunFinished) == 1
    return events[-1]


async def test_a_system_prompt_may_be_a_function_of_the_run():
    async def prompt(run: RunContext) -> str:
        return f"You talk to {run.user} for {current_run().agent}."

    llm = ScriptedLLM([call("weather", city="Oslo"), "Hi."])
    await collect(agent_with(weather, system_prompt=prompt, next_step_prompt="Be brief."), llm)
    systems = [request.messages[0].text for request in llm.requests]
    assert systems == ["You talk to None for agent.\n\nBe brief."] * 2
    llm = ScriptedLLM(["Hi."])
    await collect(agent_with(system_prompt=lambda: "Be kind."), llm)
    assert llm.requests[0].messages[0].text == "Be kind."


@pytest.mark.parametrize("prompt", [lambda: 1 / 0, lambda: 5])
async def test_a_system_prompt_that_fails_ends_the_run(prompt):
    llm = ScriptedLLM([])
    with pytest.raises(HookFailed, match="lambda"):
        await collect(agent_with(system_prompt=prompt), llm)
    assert not llm.requests


async def test_the_users_message_is_changed_for_the_model():
    agent = agent_with()

    @agent.hook("user_message")
    def without_numbers(message):
        return message.text.replace("1234", "****")

    llm = ScriptedLLM(["Noted."])
    await collect(agent, llm, [Message.user("old 1234"), Message.assistant("ok"), Message.user("my PIN is 1234")])
    assert [message.text for message in llm.requests[0].messages[1:]] == ["old 1234", "ok", "my PIN is ****"]
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    llm = ScriptedLLM(["Noted."])
    await collect(agent, llm, [Message.user([{"type": "text", "text": "1234"}, picture])])
    assert llm.requests[0].messages[-1].content == [{"type": "text", "text": "****"}, picture]


async def test_whoever_takes_a_run_over_has_all_its_messages_read_by_hooks():
    agent = agent_with()

    @agent.hook("user_message")
    def without_numbers(message):
        return message.text.replace("1234", "****")

    llm = ScriptedLLM(["Noted."])
    said = [Message.user(text) for text in ("old 1234", "my PIN is 1234", "or 12345")]
    await collect(agent, llm, said, checkpoint=Checkpoint(said=2))
    assert [message.text for message in llm.requests[0].messages[1:]] == ["old 1234", "my PIN is ****", "or ****5"]


async def test_the_users_message_is_refused_before_the_model_is_asked():
    agent = agent_with()

    @agent.hook("user_message")
    async def polite(message: Message, run: RunContext):
        assert run.agent == "agent"
        raise Refuse("Not that.")

    llm = ScriptedLLM([])
    events = await collect(agent, llm)
    assert events == [RunFinished(step=0, text="Not that.", finish="refused", message=Message.assistant("Not that."))]
    assert await create_react_agent(hooks=agent.hooks, llm=llm).arun("hi") == "Not that."


async def test_the_request_is_changed_and_refused():
    def stop(messages):
        assert all(isinstance(message, Message) for message in messages)
        if messages[-1].role == "tool":
            raise Refuse("Enough.")
        return [*messages, Message.system("And smile.")]

    llm = ScriptedLLM([call("weather", city="Oslo")])
    events = await collect(agent_with(weather, hooks=[hook("before_model")(stop)]), llm)
    assert llm.requests[0].messages[-1].text == "And smile."
    assert (finished(events).text, finished(events).step, len(llm.requests)) == ("Enough.", 2, 1)


async def test_a_reply_is_shown_when_it_has_passed():
    def milder(reply):
        return reply.text.replace("damn", "****") if reply.text else None

    agent = agent_with(weather, hooks=[hook("after_model")(milder)])
    events = await collect(agent, ScriptedLLM([call("weather", city="Oslo"), cut("da"), "The damn weather."]))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["The **** weather."]
    assert finished(events).text == "The **** weather."
    assert finished(events).message == Message.assistant("The **** weather.")


async def test_a_reply_may_lose_its_calls():
    def no_calls(reply):
        return dataclasses.replace(reply, content="I do not look.", tool_calls=())

    events = await collect(
        agent_with(weather, hooks=[hook("after_model")(no_calls)]), ScriptedLLM([call("weather", city="Oslo")])
    )
    assert finished(events).text == "I do not look." and ToolFinished not in kinds(events)


async def test_nothing_of_an_answer_is_shown_before_it_has_passed():
    agent = agent_with(weather)

    @agent.hook("answer")
    def check(answer: HookedAnswer):
        if "secret" in answer.text:
            raise Refuse("I may not say that.")
        return answer.text.upper()

    llm = ScriptedLLM([Say(text="I look.", calls=(call("weather", city="Oslo"),)), "It is sunny."])
    events = await collect(agent, llm)
    assert not {TextDelta, ReasoningDelta} & set(kinds(events))
    assert (finished(events).text, finished(events).finish) == ("IT IS SUNNY.", "answer")
    assert finished(events).message == Message.assistant("IT IS SUNNY.")
    events = await collect(agent, ScriptedLLM(["the secret"]))
    assert texts(events) == "" and StepReset not in kinds(events)
    assert (finished(events).text, finished(events).finish) == ("I may not say that.", "refused")
    assert finished(events).message == Message.assistant("I may not say that.")


async def test_a_limits_answer_has_to_pass_too():
    def check(answer):
        raise Refuse("No.")

    llm = ScriptedLLM([call("weather", city="Oslo"), "All I know."])
    assert finished(await collect(agent_with(weather, hooks=[hook("answer")(check)], max_steps=1), llm)).text == "No."


async def test_arguments_are_changed_before_the_call_begins():
    def north(call: HookedCall):
        return {"city": call.arguments["city"] + "-North"}

    events = await collect(
        agent_with(weather, hooks=[hook("before_tool")(north)]), ScriptedLLM([call("weather", city="Oslo"), "ok"])
    )
    assert [event.arguments for event in events if isinstance(event, ToolStarted)] == [{"city": "Oslo-North"}]
    assert [event.output for event in events if isinstance(event, ToolFinished)] == ["sunny in Oslo-North"]


@pytest.mark.parametrize("point", ["before_tool", "after_tool"])
async def test_a_refused_call_ends_the_run_when_the_others_have_their_results(point):
    def check(call):
        if call.arguments["city"] == "Oslo":
            raise Refuse("Oslo is closed.")

    llm = ScriptedLLM([Say(calls=(call("weather", city="Oslo"), call("weather", city="Rome")))])
    events = await collect(agent_with(weather, hooks=[hook(point)(check)]), llm)
    results = {
        event.call.arguments["city"]: (event.status, event.output) for event in events if type(event) is ToolFinished
    }
    assert results == {"Oslo": ("declined", "Error: Oslo is closed."), "Rome": ("success", "sunny in Rome")}
    assert (finished(events).text, finished(events).finish) == ("Oslo is closed.", "refused")


async def test_one_call_is_refused_and_the_run_goes_on():
    def check(call):
        raise ToolFailed("Ask for another city.")

    llm = ScriptedLLM([call("weather", city="Oslo"), "Which one?"])
    events = await collect(agent_with(weather, hooks=[hook("before_tool")(check)]), llm)
    assert finished(events).text == "Which one?"
    assert llm.requests[1].messages[-1].text == "Error: Ask for another city."


async def test_a_result_is_changed():
    def shorter(call: HookedCall):
        return ToolResult(output=call.result.text.split()[0], data={"all": call.result.text})

    llm = ScriptedLLM([call("weather", city="Oslo"), "ok"])
    events = await collect(agent_with(weather, hooks=[hook("after_tool")(shorter)]), llm)
    [result] = [event for event in events if isinstance(event, ToolFinished)]
    assert (result.output, result.data, llm.requests[1].messages[-1].text) == (
        "sunny",
        {"all": "sunny in Oslo"},
        "sunny",
    )


@pytest.mark.parametrize("said", [True, False])
async def test_a_hook_of_a_tool_asks_the_user(said):
    async def ask(call, run):
        if not await run.confirm(f"Really {call.arguments['city']}?"):
            raise Refuse("Then not.")

    asked = []

    async def confirm(request):
        asked.append((request.question, request.tool_name))
        return said

    llm = ScriptedLLM([call("weather", city="Oslo"), "ok"])
    agent = agent_with(weather, hooks=[hook("before_tool")(ask)])
    events = await collect(agent, llm, host=LocalHost(confirm))
    assert asked == [("Really Oslo?", "ask")]
    assert finished(events).text == ("ok" if said else "Then not.")


async def test_arguments_of_the_user_are_looked_at_as_well():
    seen = []

    async def ask(call, run):
        seen.append((call.arguments["city"], await run.confirm("Sure?")))
        if call.arguments["city"] == "Rome":
            raise Refuse("Not Rome.")

    class Host(LocalHost):
        async def confirm(self, request):
            return Decision(confirmed=True, args={"city": "Rome"} if request.starts_call else None)

    @tool(requires_confirmation=True)
    def go(city: str) -> str:
        raise AssertionError

    events = await collect(
        agent_with(go, hooks=[hook("before_tool")(ask)]), ScriptedLLM([call("go", city="Oslo")]), host=Host()
    )
    assert seen == [("Oslo", True), ("Rome", True)]
    assert finished(events).text == "Not Rome."


def fail():
    raise ValueError("the password is 1234")


@pytest.mark.parametrize(
    "point", ["user_message", "before_model", "after_model", "before_tool", "after_tool", "answer"]
)
@pytest.mark.parametrize("function", [fail, lambda value: 5], ids=["raises", "returns"])
async def test_a_hook_that_fails_ends_the_run_in_words(point, function):
    agent = agent_with(weather, hooks=[hook(point)(function)])
    with pytest.raises(HookFailed) as caught:
        await collect(agent, ScriptedLLM([call("weather", city="Oslo"), "ok"]))
    assert caught.value.code == "hook_failed" and "password" not in str(caught.value)
    assert ("fail" if function is fail else "lambda") in str(caught.value)


async def test_wrong_arguments_of_a_hook_are_its_mistake():
    agent = agent_with(weather, hooks=[hook("before_tool")(lambda call: {"town": "Oslo"})])
    with pytest.raises(HookFailed, match="weather"):
        await collect(agent, ScriptedLLM([call("weather", city="Oslo")]))


async def test_a_resumed_run_changes_the_message_that_it_answers():
    reply = Message.assistant("", [ToolCall(id="c1", name="weather", arguments='{"city": "Oslo"}')])
    history = [Message.user("a"), Message.assistant("b"), Message.user("c"), reply]
    checkpoint = Checkpoint(step=1, open_calls={0: OpenCall()})
    llm = ScriptedLLM(["ok"])
    agent = agent_with(weather, hooks=[hook("user_message")(lambda message: message.text.upper())])
    await collect(agent, llm, history, checkpoint=checkpoint)
    assert [message.text for message in llm.requests[0].messages[1:4]] == ["a", "b", "C"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: hook("somewhere")(fail),
        lambda: hook("answer")(lambda a, b, c: None),
        lambda: create_react_agent(hooks=[fail]),
        lambda: create_react_agent(hooks=5),
        lambda: create_react_agent(system_prompt=lambda a, b: ""),
        lambda: create_react_agent(guardrails=[]),
    ],
)
def test_what_is_no_hook_is_refused(make):
    with pytest.raises(AgentDefinitionError):
        make()


def test_a_hook_is_still_a_function():
    agent = create_react_agent()

    @agent.hook("answer")
    def check(answer):
        return answer

    assert check(5) == 5 == hook("answer")(check)(5)
