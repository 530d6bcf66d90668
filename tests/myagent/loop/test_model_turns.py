"""Several models for one agent, without a server: who is asked when, and what a run reports of it."""

from contextlib import aclosing

import pytest

from myagent import create_react_agent, tool
from myagent.events import ModelReplied, StepReset, StepStarted, TextDelta
from myagent.exceptions import (
    AgentDefinitionError,
    ContextOverflow,
    EmptyReply,
    LLMAuthError,
    LLMNotFound,
    LLMRejected,
    LLMUnavailable,
    LLMUnreachable,
)
from myagent.llm.fallback import AnsweringModel, FallbackLLM, for_run
from myagent.loop import react
from myagent.loop.checkpoint import START, Checkpoint
from myagent.loop.local_host import LocalHost
from myagent.messages import Message
from myagent.run_context import RunContext
from myagent.testing import ScriptedLLM, call, cut

pytestmark = pytest.mark.usefixtures("in_english")


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


def model(name, *replies, window=None):
    llm = ScriptedLLM(replies, model=name)
    if window is not None:
        llm.context_window = window
    return llm


async def collect(agent, said=None, *, checkpoint=START, requests=None):
    context = RunContext(session_id="s", run_id="r", agent=agent.name)
    history = [Message.user("hi")] if said is None else said
    report = {} if requests is None else {"report": requests.append}
    events = react.run(
        agent,
        history,
        host=LocalHost(),
        context=context,
        llm=for_run(agent.llm),
        checkpoint=checkpoint,
        **report,
    )
    async with aclosing(events) as stream:
        return [event async for event in stream]


def resets(events):
    return [(event.step, event.reason, event.answering) for event in events if isinstance(event, StepReset)]


SECOND = AnsweringModel(1, "b")


@pytest.mark.parametrize("error", [LLMUnreachable("gone"), LLMUnavailable("500")])
async def test_the_next_model_answers_and_the_run_stays_with_it(error):
    first, second = model("a", error), model("b", call("weather", city="Oslo"), "It is sunny.")
    requests = []
    events = await collect(create_react_agent(tools=[weather], llm=[first, second]), requests=requests)
    assert resets(events) == [(1, "fallback", SECOND)]
    assert [event.step for event in events if isinstance(event, StepStarted)] == [1, 2]
    assert events[-1].text == "It is sunny."
    assert [(request.model, request.outcome) for request in requests] == [
        ("a", error.code),
        ("b", "ok"),
        ("b", "ok"),
    ]


async def test_what_was_shown_of_three_cut_streams_is_taken_back():
    first, second = model("a", *[cut("one two")] * 3), model("b", "three")
    events = await collect(create_react_agent(llm=[first, second]))
    assert [reason for _step, reason, _answering in resets(events)] == ["stream_cut", "stream_cut", "fallback"]
    last = max(place for place, event in enumerate(events) if isinstance(event, StepReset))
    assert "".join(event.text for event in events[last:] if isinstance(event, TextDelta)) == "three"


@pytest.mark.parametrize(
    "error", [LLMAuthError("bad key"), LLMRejected("no"), LLMNotFound("what"), ContextOverflow("too long")]
)
async def test_what_does_not_pass_by_itself_is_not_hidden(error):
    first, second = model("a", error), model("b", "never asked")
    with pytest.raises(type(error)):
        await collect(create_react_agent(llm=[first, second]))
    assert not second.requests


async def test_nothing_said_is_no_reason():
    first, second = model("a", "", ""), model("b", "never asked")
    with pytest.raises(EmptyReply):
        await collect(create_react_agent(llm=[first, second]))
    assert not second.requests


async def test_too_long_leads_to_a_larger_window_only():
    first, small, large = (
        model("a", ContextOverflow("too long"), window=8_000),
        model("b", "never asked", window=8_000),
        model("c", "read it", window=32_000),
    )
    events = await collect(create_react_agent(llm=[first, small, large]))
    assert resets(events) == [(1, "fallback", AnsweringModel(2, "c"))] and not small.requests
    assert events[-1].text == "read it"


async def test_a_larger_window_is_used_and_a_smaller_one_is_kept_to():
    long = [message for n in range(20) for message in (Message.user(f"{n} " * 500), Message.assistant("ok"))]
    said = [*long, Message.user("hi")]
    first, second = model("a", LLMUnavailable("500"), window=4_000), model("b", "ok", window=100_000)
    await collect(create_react_agent(llm=[first, second]), said)
    assert len(first.requests[0].messages) < len(second.requests[0].messages) == len(said) + 1
    first, second = model("a", LLMUnavailable("500"), window=100_000), model("b", "ok", window=4_000)
    await collect(create_react_agent(llm=[first, second]), said)
    assert len(second.requests[0].messages) < len(first.requests[0].messages)


async def test_a_dead_model_is_passed_by_and_probed(monkeypatch):
    first = model("a", LLMUnavailable("500"), LLMUnavailable("500"), "back", "still")
    agent = create_react_agent(llm=[first, model("b", "1", "2", "3", "4")])
    now = 0.0
    monkeypatch.setattr(agent.llm.breakers[0], "_clock", lambda: now)
    answers = []
    for seconds in (0, 5, 31, 40, 70, 71):
        now = float(seconds)
        answers.append(((await collect(agent))[-1].text, len(first.requests)))
    # Found dead at 0 s, passed by at 5 s, probed at 31 s, passed by at 40 s, and back at 70 s.
    assert answers == [("1", 1), ("2", 1), ("3", 2), ("4", 2), ("back", 3), ("still", 4)]


async def test_a_probe_that_is_cut_is_not_repeated(monkeypatch):
    first, second = model("a", LLMUnavailable("500"), cut("one")), model("b", "1", "2")
    agent = create_react_agent(llm=[first, second])
    await collect(agent)
    monkeypatch.setattr(agent.llm.breakers[0], "_next_probe", 0.0)
    events = await collect(agent)
    assert events[-1].text == "2" and len(first.requests) == 2


async def test_a_key_that_a_probe_finds_dead_is_not_hidden(monkeypatch):
    first, second = model("a", LLMUnavailable("500"), LLMAuthError("bad key"), LLMAuthError("bad key")), model("b", "1")
    agent = create_react_agent(llm=[first, second])
    await collect(agent)
    monkeypatch.setattr(agent.llm.breakers[0], "_next_probe", 0.0)
    for _run in range(2):
        with pytest.raises(LLMAuthError):
            await collect(agent)
    assert len(second.requests) == 1


async def test_when_all_are_dead_nobody_is_asked():
    first, second = model("a", LLMUnavailable("a 500")), model("b", LLMUnavailable("b 500"))
    agent = create_react_agent(llm=[first, second])
    with pytest.raises(LLMUnavailable, match="b 500"):
        await collect(agent)
    with pytest.raises(LLMUnavailable, match="None of the models a, b answers"):
        await collect(agent)
    assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_a_run_that_is_resumed_goes_on_with_its_model():
    first, second = model("a"), model("b", "ok")
    agent = create_react_agent(llm=[first, second])
    events = await collect(agent, checkpoint=Checkpoint(answering=SECOND))
    assert events[-1].text == "ok" and not resets(events) and not first.requests


@pytest.mark.parametrize(("answering", "asked"), [(AnsweringModel(5, "b"), 1), (AnsweringModel(1, "gone"), 0)])
async def test_a_list_that_changed_meanwhile(answering, asked):
    models = [model("a", "from 0"), model("b", "from 1")]
    events = await collect(create_react_agent(llm=models), checkpoint=Checkpoint(answering=answering))
    assert events[-1].text == f"from {asked}"


async def test_a_model_that_dies_in_the_middle_of_a_run_and_the_first_one_again():
    """The run goes round the list: what was dead an hour ago may be what is left."""
    first, second = (
        model("a", LLMUnavailable("500"), "again"),
        model("b", call("weather", city="Oslo"), LLMUnreachable("gone")),
    )
    agent = create_react_agent(tools=[weather], llm=[first, second])
    stream = react.run(
        agent,
        [Message.user("hi")],
        host=LocalHost(),
        context=RunContext(session_id="s", run_id="r", agent="agent"),
        llm=for_run(agent.llm),
    )
    seen = []
    async with aclosing(stream) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, ModelReplied):
                agent.llm.breakers[0].answered()
    assert [answering.number for _step, _reason, answering in resets(seen)] == [1, 0]
    assert seen[-1].text == "again"


async def test_a_summary_does_not_wait_for_a_dead_model():
    long = [message for n in range(20) for message in (Message.user(f"{n} " * 500), Message.assistant("ok"))]
    first = model("a", LLMUnavailable("500"), window=4_000)
    second = model("b", "The summary.", "ok", window=4_000)
    events = await collect(create_react_agent(compact="summarize", llm=[first, second]), [*long, Message.user("hi")])
    assert events[-1].text == "ok" and len(first.requests) == 1 and len(second.requests) == 2


async def test_a_stream_of_the_list_itself():
    first, second = model("a", LLMUnavailable("500")), model("b", "ok")
    llm = create_react_agent(llm=[first, second]).llm
    assert [chunk async for chunk in llm.stream([Message.user("hi")])][-1].message.text == "ok"
    assert llm.model == "a → b" and llm.breakers[0].is_open


def test_what_a_list_may_be():
    assert create_react_agent(llm=["gpt-x"]).llm.model == "gpt-x", "one model costs nothing more"
    both = create_react_agent(llm=["gpt-x", model("b")]).llm
    assert isinstance(both, FallbackLLM) and both.model == "gpt-x → b"
    for wrong in ([], ["gpt-x", 5], ["gpt-x", ""]):
        with pytest.raises(AgentDefinitionError):
            create_react_agent(llm=wrong)


async def test_arun_falls_back(monkeypatch):
    agent = create_react_agent(llm=[model("a", LLMUnavailable("500")), model("b", "ok", "ok")])
    assert await agent.arun("hi") == "ok"
    assert await agent.arun("hi") == "ok"


async def test_an_error_of_the_last_model_is_the_run_s():
    agent = create_react_agent(llm=[model("a", LLMUnavailable("500")), model("b", LLMAuthError("bad key"))])
    with pytest.raises(LLMAuthError):
        await collect(agent)
