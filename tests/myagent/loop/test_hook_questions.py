"""Hooks that ask the user, at each of their points."""

import asyncio

import pytest

from myagent import Refuse, create_react_agent, hook
from myagent.events import RunFinished
from myagent.exceptions import HookFailed
from myagent.loop.host import Decision
from myagent.loop.local_host import LocalHost
from myagent.testing import Say, ScriptedLLM, call
from tests.myagent.loop.test_react import agent_with, collect, weather

pytestmark = pytest.mark.usefixtures("in_english")

POINTS = ("user_message", "before_model", "after_model", "before_tool", "after_tool", "answer")


class Person(LocalHost):
    """Answers every question after `seconds`."""

    def __init__(self, confirmed=True, seconds=0.0):
        super().__init__()
        self.asked = []
        self._confirmed = confirmed
        self._seconds = seconds

    async def confirm(self, request):
        self.asked.append(request)
        await asyncio.sleep(self._seconds)
        return Decision(confirmed=self._confirmed)


async def ask(value, run):
    """Asks whether it may go on."""
    if not await run.confirm("May I?"):
        raise Refuse("You said no.")


def ask_and_wait(value, run):
    if not run.confirm_sync("May I?"):
        raise Refuse("You said no.")


def script():
    return ScriptedLLM([call("weather", city="Oslo"), "Sunny."])


@pytest.mark.parametrize("function", [ask, ask_and_wait])
@pytest.mark.parametrize("point", POINTS)
async def test_a_yes_lets_the_run_go_on(point, function):
    person = Person()
    events = await collect(agent_with(weather, hooks=[hook(point)(function)]), script(), host=person)
    assert (events[-1].text, events[-1].finish) == ("Sunny.", "answer")
    assert len(person.asked) == (2 if point in ("before_model", "after_model") else 1)
    request = person.asked[0]
    assert (request.question, request.tool_name, request.starts_call) == ("May I?", function.__name__, False)
    is_about_call = point in ("before_tool", "after_tool")
    assert (request.call_id, request.call_step_id) == (("c1", "r.1.0") if is_about_call else ("", "")) or is_about_call
    assert bool(request.call_step_id) is bool(request.tool_args) is is_about_call


@pytest.mark.parametrize("point", POINTS)
async def test_a_no_ends_it_in_words(point):
    events = await collect(agent_with(weather, hooks=[hook(point)(ask)]), script(), host=Person(confirmed=False))
    assert (events[-1].text, events[-1].finish) == ("You said no.", "refused")


async def test_without_anybody_to_ask_it_is_a_no():
    agent = agent_with(hooks=[hook("user_message")(ask)], llm=ScriptedLLM(["Hi."]))
    assert await agent.arun("hi") == "You said no."
    asked = []

    async def confirm(request):
        asked.append(request.question)
        return True

    assert await agent.arun("hi", confirm=confirm) == "Hi."
    assert asked == ["May I?"]


async def test_the_same_occasion_has_the_same_mark_and_another_one_another():
    def marks(run):
        return [request.occasion for request in run.asked]

    async def asked(replies, **options):
        person = Person()
        await collect(agent_with(weather, **options), ScriptedLLM(list(replies)), host=person)
        return marks(person)

    steps = [call("weather", city="Oslo"), "Sunny."]
    hooks = [hook("before_model")(ask), hook("answer")(ask)]
    first = await asked(steps, hooks=hooks)
    assert first == await asked(steps, hooks=hooks), "a run that is taken over finds them"
    assert len(set(first)) == 3
    other = await asked([call("weather", city="Oslo"), "Rainy."], hooks=hooks)
    assert first[:2] == other[:2] and first[2] != other[2], "a yes to one answer is none to another"

    async def twice(value, run):
        await run.confirm("May I?")
        await run.confirm("May I?")

    assert len(set(await asked(["Hi."], hooks=[hook("answer")(twice)] * 2))) == 4


@pytest.mark.parametrize("point", ["before_model", "answer"])
async def test_what_a_person_takes_does_not_count_towards_the_limit_of_time(point):
    person = Person(seconds=0.3)
    events = await collect(agent_with(hooks=[hook(point)(ask)], max_seconds=0.2), ScriptedLLM(["Hi."]), host=person)
    assert (events[-1].text, events[-1].finish, len(person.asked)) == ("Hi.", "answer", 1)


@pytest.mark.parametrize("option", ["system_prompt", "tools"])
async def test_what_a_run_needs_before_it_begins_asks_nobody(option, caplog):
    async def choose(run):
        await run.confirm("Which ones?")

    person = Person()
    with pytest.raises(HookFailed, match="choose"):
        await collect(create_react_agent(**{option: choose}), ScriptedLLM([]), host=person)
    assert not person.asked and "works only in tools and in hooks" in caplog.text


async def test_a_question_that_is_not_awaited_is_a_mistake():
    async def forget(value, run):
        run.confirm("May I?")

    with pytest.raises(HookFailed, match="forget"):
        await collect(agent_with(hooks=[hook("answer")(forget)]), ScriptedLLM(["Hi."]), host=Person())


async def test_hooks_of_calls_that_run_side_by_side_ask_side_by_side():
    both = asyncio.Barrier(2)

    class Patient(Person):
        async def confirm(self, request):
            await both.wait()
            return await super().confirm(request)

    person = Patient()
    llm = ScriptedLLM([Say(calls=[call("weather", city="Oslo"), call("weather", city="Rome")]), "Sunny."])
    events = await collect(agent_with(weather, hooks=[hook("before_tool")(ask)]), llm, host=person)
    assert isinstance(events[-1], RunFinished) and len({request.occasion for request in person.asked}) == 2
