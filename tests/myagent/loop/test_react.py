"""The loop: messages in, a list of events out."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from myagent import create_react_agent, tool
from myagent.events import (
    ModelReplied,
    ReasoningDelta,
    RunFinished,
    StepReset,
    StepStarted,
    TextDelta,
    ToolFinished,
    ToolStarted,
)
from myagent.exceptions import ContextOverflow, EmptyReply, LLMAuthError, LLMUnavailable, StreamCut
from myagent.llm import Reply, TextChunk, TextWasReasoning, Usage
from myagent.loop import react
from myagent.loop.checkpoint import START, Checkpoint, OpenCall
from myagent.loop.host import Decision
from myagent.loop.limited_model import SUM_UP_PROMPT
from myagent.loop.local_host import LocalHost
from myagent.messages import Message, ToolCall
from myagent.run_context import RunContext
from myagent.testing import Say, ScriptedLLM, call, cut
from myagent.tool.terminate import Terminate

pytestmark = pytest.mark.usefixtures("in_english")

HI = [Message.user("hi")]


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


def agent_with(*tools, **options):
    return create_react_agent(tools=tools, **options)


def context(**fields):
    return RunContext(session_id="s", run_id="r", agent="agent", **fields)


def run(agent, llm, history=HI, host=None, checkpoint=START):
    return react.run(agent, history, host=host or LocalHost(), context=context(), llm=llm, checkpoint=checkpoint)


async def collect(agent, llm, history=HI, host=None, checkpoint=START):
    async with aclosing(run(agent, llm, history, host, checkpoint)) as stream:
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


async def test_the_next_step_prompt_is_part_of_the_one_system_message_of_every_request():
    llm = ScriptedLLM([call("weather", city="X"), "Sunny."])
    await collect(agent_with(weather, system_prompt="Help.", next_step_prompt="Think."), llm)
    for request in llm.requests:
        assert request.messages[0] == Message.system("Help.\n\nThink.")
        assert [message.role for message in request.messages].count("system") == 1


async def test_reasoning_is_shown_and_never_fed_back():
    llm = ScriptedLLM([Say(calls=[call("weather", city="X")], reasoning="Let me see"), "Sunny."])
    events = await collect(agent_with(weather), llm)
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "Let me see"
    assert not [message for message in llm.requests[1].messages if "Let me see" in message.text]


async def test_at_the_limit_of_steps_the_model_sums_up_without_tools():
    llm = ScriptedLLM([call("weather", city="X"), call("weather", city="Y"), Say(text="So far: sunny.")])
    events = await collect(agent_with(weather, max_steps=2), llm)
    assert llm.requests[2].tools == ()
    assert llm.requests[2].messages[-1] == Message.system(SUM_UP_PROMPT % {"what": "steps"})
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


@pytest.mark.parametrize("empty", [Say(), Say(text=" \n"), Say(reasoning="hm"), Say(finish="MALFORMED")])
async def test_an_empty_reply_is_asked_for_once_more_with_a_note(empty):
    llm = ScriptedLLM([replace(empty, usage=Usage(7, 3, 1)), "Sunny."])
    events = await collect(agent_with(weather), llm)
    resets = [event.reason for event in events if isinstance(event, StepReset)]
    assert resets == (["empty_reply"] if empty.text or empty.reasoning else [])
    assert (events[-1].text, events[-1].finish, events[-1].step) == ("Sunny.", "answer", 1)
    assert events[-1].usage == Usage(7, 3, 2)
    assert "empty" not in str(llm.requests[0].messages) and "empty" in str(llm.requests[1].messages)


async def test_a_second_empty_reply_ends_the_run():
    llm = ScriptedLLM([Say(), Say(), "Sunny."])
    with pytest.raises(EmptyReply) as caught:
        await collect(agent_with(weather), llm)
    assert caught.value.code == "empty_reply" and len(llm.requests) == 2


async def test_each_step_may_be_empty_once():
    llm = ScriptedLLM([Say(), call("weather", city="X"), Say(), "Sunny."])
    events = await collect(agent_with(weather), llm)
    assert (events[-1].text, events[-1].usage.llm_calls) == ("Sunny.", 4)


async def test_a_summing_up_without_words_is_empty():
    script = [call("weather", city="X"), call("weather", city="Y"), "As far as I got."]
    events = await collect(agent_with(weather, max_steps=1), llm := ScriptedLLM(script))
    assert (events[-1].text, events[-1].finish) == ("As far as I got.", "max_steps")
    assert "limit of steps" in str(llm.requests[2].messages) and "empty" in str(llm.requests[2].messages)


async def test_text_that_was_reasoning_comes_again_as_such():
    class Late(ScriptedLLM):
        async def stream(self, messages, *, tools=()):
            yield TextChunk("hm")
            yield TextWasReasoning("hm")
            yield TextChunk("Sunny.")
            yield Reply(Message.assistant("Sunny."), Usage(llm_calls=1))

    events = await collect(agent_with(weather), Late())
    assert events[1:-1] == [
        TextDelta(step=1, text="hm"),
        StepReset(step=1, reason="reasoning"),
        ReasoningDelta(step=1, text="hm"),
        TextDelta(step=1, text="Sunny."),
    ]


@pytest.mark.parametrize("max_steps", [1, 2])
async def test_an_answer_that_was_cut_at_the_length_limit_says_so(max_steps, caplog):
    script = [call("weather", city="X"), Say(text="It is", finish="max_tokens")]
    events = await collect(agent_with(weather, max_steps=max_steps), ScriptedLLM(script))
    assert (events[-1].text, events[-1].finish) == ("It is", "length")
    assert "cut short" in caplog.text


async def test_the_endpoints_own_words_end_a_run_that_was_cut_each_time():
    def broken():
        cut_off = StreamCut("it gave up")
        cut_off.__cause__ = LLMUnavailable("It says: gone")
        return cut_off

    with pytest.raises(LLMUnavailable, match="It says: gone"):
        await collect(agent_with(), ScriptedLLM([broken(), broken(), broken()]))


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


# --- going on ---


SPENT = Usage(20, 10, 2)
TEMPER = []


@tool
def report(word: str) -> str:
    """Repeat a word."""
    return f"said {word}"


@tool(requires_confirmation=True)
def risk(word: str) -> str:
    """Repeat a word, if a person agrees."""
    return f"dared {word}"


@tool(requires_confirmation=lambda arguments: bool(TEMPER))
def moody(word: str) -> str:
    """Want a person's yes at times."""
    return f"did {word}"


class Person(LocalHost):
    """Gives one answer to every question and remembers them."""

    def __init__(self, decision=None):
        self.decision = decision
        self.asked = []

    async def confirm(self, request):
        assert self.decision is not None, "nobody is to be asked"
        self.asked.append(request.call_step_id)
        return self.decision


def reply_of(*names):
    """A reply that asks for these tools, each with its name and place as its word."""
    calls = [
        ToolCall(id=f"id{index}", name=name, arguments=f'{{"word": "{name}{index}"}}')
        for index, name in enumerate(names)
    ]
    return Message.assistant("", calls)


def known(index, text="known"):
    return Message.tool(text, tool_call_id=f"id{index}")


async def go_on(agent, script, history, step=1, host=None, **calls):
    """The events after the checkpoint, and the model; `calls` are the open ones: c0 is that with index 0."""
    open_calls = {int(name[1:]): call for name, call in calls.items()}
    llm = ScriptedLLM(script)
    checkpoint = Checkpoint(step=step, usage=SPENT, open_calls=open_calls)
    return await collect(agent, llm, [*HI, *history], host or Person(), checkpoint), llm


def said_by_tools(request):
    return [message.text for message in request.messages if message.role == "tool"]


async def test_open_calls_run_under_their_own_ids_and_the_model_is_not_asked_for_them_again():
    events, llm = await go_on(
        agent_with(report), ["ok"], [reply_of("report", "report")], c0=OpenCall(), c1=OpenCall(begun=True)
    )
    assert ModelReplied not in kinds(events)
    finished = sorted((event.call.step_id, event.output) for event in events if isinstance(event, ToolFinished))
    assert finished == [("r.1.0", "said report0"), ("r.1.1", "said report1")]
    assert said_by_tools(llm.requests[0]) == ["said report0", "said report1"]
    assert len(llm.requests) == 1
    assert (events[-1].step, events[-1].usage.llm_calls) == (2, SPENT.llm_calls + 1)


async def test_results_that_are_known_stay_in_their_places():
    events, llm = await go_on(
        agent_with(report), ["ok"], [reply_of("report", "report", "report"), known(1)], c0=OpenCall(), c2=OpenCall()
    )
    assert kinds(events).count(ToolFinished) == 2
    assert said_by_tools(llm.requests[0]) == ["said report0", "known", "said report2"]
    assert [message.tool_call_id for message in llm.requests[0].messages[-3:]] == ["id0", "id1", "id2"]


async def test_with_all_results_the_next_step_begins():
    events, llm = await go_on(agent_with(report), ["ok"], [reply_of("report"), known(0)])
    assert kinds(events)[0] is StepStarted and events[0].step == 2
    assert ToolFinished not in kinds(events)
    assert said_by_tools(llm.requests[0]) == ["known"]


async def test_a_start_is_reported_unless_it_is_on_record():
    events, _ = await go_on(
        agent_with(report), ["ok"], [reply_of("report", "report")], c0=OpenCall(), c1=OpenCall(begun=True)
    )
    (started,) = [event for event in events if isinstance(event, ToolStarted)]
    assert (started.call.index, started.arguments) == (0, {"word": "report0"})
    first = next(event for event in events if isinstance(event, ToolFinished) and event.call.index == 0)
    assert events.index(started) < events.index(first)


async def test_what_a_person_agreed_to_runs_unasked():
    agreed = OpenCall(begun=True, agreed={"word": "edited"})
    events, llm = await go_on(agent_with(risk), ["ok"], [reply_of("risk")], c0=agreed)
    assert ToolStarted not in kinds(events), "its start is on record"
    assert said_by_tools(llm.requests[0]) == ["dared edited"]


@pytest.mark.parametrize(
    ("decision", "result"),
    [
        (Decision(confirmed=True), "dared risk0"),
        (Decision(confirmed=True, args={"word": "edited"}), "dared edited"),
        (Decision(confirmed=False), "Error: The user declined this call."),
    ],
)
async def test_a_person_who_was_asked_decides(decision, result):
    person = Person(decision)
    _events, llm = await go_on(agent_with(risk), ["ok"], [reply_of("risk")], host=person, c0=OpenCall(asked=True))
    assert person.asked == ["r.1.0"]
    assert said_by_tools(llm.requests[0]) == [result]


async def test_who_was_asked_decides_also_when_the_tool_would_not_ask_by_now():
    person = Person(Decision(confirmed=False))
    _events, llm = await go_on(agent_with(moody), ["ok"], [reply_of("moody")], host=person, c0=OpenCall(asked=True))
    assert person.asked == ["r.1.0"]
    assert "declined" in said_by_tools(llm.requests[0])[0]


async def test_who_was_not_asked_yet_is_asked(monkeypatch):
    monkeypatch.setattr("tests.myagent.loop.test_react.TEMPER", ["bad"])
    person = Person(Decision(confirmed=True))
    _events, llm = await go_on(agent_with(moody), ["ok"], [reply_of("moody")], host=person, c0=OpenCall())
    assert person.asked == ["r.1.0"]
    assert said_by_tools(llm.requests[0]) == ["did moody0"]


@pytest.mark.parametrize("call", [OpenCall(), OpenCall(asked=True), OpenCall(begun=True, agreed={"word": "x"})])
async def test_a_tool_that_is_gone(call):
    events, llm = await go_on(agent_with(report), ["ok"], [reply_of("removed")], c0=call)
    (finished,) = [event for event in events if isinstance(event, ToolFinished)]
    assert finished.status == "failed"
    assert "no tool 'removed'" in said_by_tools(llm.requests[0])[0]
    assert events[-1].text == "ok"


@pytest.mark.parametrize("results", [[], [Message.tool("The work is done.", tool_call_id="id0")]])
async def test_a_reply_that_ended_the_run_ends_it(results):
    ending = Message.assistant(
        "", [ToolCall(id="id0", name="terminate", arguments='{"status": "success", "answer": "42"}')]
    )
    calls = {} if results else {"c0": OpenCall(begun=True)}
    events, llm = await go_on(agent_with(Terminate()), [], [ending, *results], **calls)
    assert llm.requests == []
    assert (events[-1].finish, events[-1].text, events[-1].step) == ("terminate", "42", 1)
    assert events[-1].usage == SPENT


async def test_steps_are_counted_on_to_the_limit():
    events, llm = await go_on(
        agent_with(report, max_steps=4), [call("report", word="x"), "So far."], [reply_of("report"), known(0)], step=3
    )
    assert [event.step for event in events if isinstance(event, StepStarted)] == [4, 5]
    assert llm.requests[-1].tools == ()
    assert (events[-1].finish, events[-1].step) == ("max_steps", 5)


async def test_the_summing_up_is_asked_for_again():
    events, llm = await go_on(agent_with(report, max_steps=3), ["So far."], [reply_of("report"), known(0)], step=3)
    assert llm.requests[0].messages[-1] == Message.system(SUM_UP_PROMPT % {"what": "steps"})
    assert (events[-1].finish, events[-1].step) == ("max_steps", 4)


async def test_what_was_asked_for_is_done_also_when_fewer_steps_are_allowed_by_now():
    events, llm = await go_on(agent_with(report, max_steps=2), ["So far."], [reply_of("report")], step=4, c0=OpenCall())
    assert said_by_tools(llm.requests[0]) == ["said report0"]
    assert (events[-1].finish, events[-1].step) == ("max_steps", 5)


async def test_before_the_first_reply_a_run_begins_anew():
    events, llm = await go_on(agent_with(report), ["ok"], [], step=0)
    assert (events[0], events[-1].step) == (StepStarted(step=1), 1)
    assert events[-1].usage.llm_calls == SPENT.llm_calls + 1


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
