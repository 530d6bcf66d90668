"""Summaries in place of what is too long: what the model is asked, and what the loop does with its answer."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from myagent import create_react_agent, tool
from myagent.events import HistorySummarized, ModelReplied, RunFinished, StepStarted, TextDelta
from myagent.exceptions import ContextOverflow, LLMAuthError, StreamCut
from myagent.llm import Usage
from myagent.loop import react
from myagent.loop.context_window import estimate_tokens
from myagent.loop.local_host import LocalHost
from myagent.loop.summary import PROMPT, as_messages, summarize
from myagent.messages import Message, ToolCall
from myagent.run_context import RunContext
from myagent.testing import Say, ScriptedLLM, call, cut

WINDOW = 1_200


def exchange(number, length=300):
    return [Message.user(f"question {number} " + "x" * length), Message.assistant(f"answer {number}")]


def long_history(turns=12):
    return [message for number in range(turns) for message in exchange(number)] + [Message.user("the last one")]


@tool
def lookup(length: int) -> str:
    """Give a long text."""
    return "y" * length


def agent_with(**options):
    options = {"compact": "summarize", "context_window": WINDOW, "system_prompt": "Be kind.", **options}
    return create_react_agent(tools=[lookup], **options)


def run(agent, llm, history, summary=""):
    context = RunContext(session_id="s", run_id="r", agent="agent")
    return react.run(agent, history, host=LocalHost(), context=context, llm=llm, summary=summary)


async def collect(agent, llm, history, summary=""):
    async with aclosing(run(agent, llm, history, summary)) as stream:
        return [event async for event in stream]


def summaries(events):
    return [event for event in events if isinstance(event, HistorySummarized)]


def is_summary_request(request):
    return request.messages[0] == Message.system(PROMPT)


# --- asking for one ---


async def test_the_model_is_given_what_was_said():
    calls = [ToolCall(id="1", name="weather", arguments='{"city": "Oslo"}')]
    picture = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:..."}}]
    messages = [
        Message.user(picture),
        Message.assistant("", calls),
        Message.tool("rain", tool_call_id="1"),
        Message.assistant("It rains."),
    ]
    llm = ScriptedLLM([Say(text=" It rains in Oslo. ", usage=Usage(9, 4, 1))])
    reply = await summarize(llm, "They met.", messages, 2_000)
    assert (reply.message, reply.usage) == (Message.assistant("It rains in Oslo."), Usage(9, 4, 1))
    (request,) = llm.requests
    assert request.tools == ()
    assert request.messages[0] == Message.system(PROMPT)
    assert request.messages[1].text.split("\n\n") == [
        "Summary of what came before:\nThey met.",
        "User: Look [a picture]",
        'Assistant: [calls weather({"city": "Oslo"})]',
        "Tool: rain",
        "Assistant: It rains.",
    ]


@pytest.mark.parametrize("budget", [600, 1_000, 4_000])
async def test_what_it_is_asked_fits_its_window_and_the_newest_is_kept(budget):
    llm = ScriptedLLM(["short"])
    await summarize(llm, "earlier", long_history(40), budget)
    (request,) = llm.requests
    assert sum(map(estimate_tokens, request.messages)) <= budget
    parts = request.messages[1].text.split("\n\n")
    assert parts[0].endswith("earlier") and parts[-1] == "User: the last one"
    assert ("[Older messages were left out.]" in parts) is (budget < 4_000 or len(parts) < 80)


async def test_a_huge_message_is_shortened():
    llm = ScriptedLLM(["short"])
    await summarize(llm, "", [Message.tool("z" * 50_000, tool_call_id="1")], 100_000)
    assert len(llm.requests[0].messages[1].text) < 5_000


async def test_a_summary_that_is_too_long_is_cut():
    llm = ScriptedLLM(["z" * 9_000])
    reply = await summarize(llm, "", exchange(1), 1_000)
    assert estimate_tokens(reply.message) <= 250


@pytest.mark.parametrize("said", ["", "  \n", cut("so f")])
async def test_no_summary_is_an_error(said):
    with pytest.raises(StreamCut):
        await summarize(ScriptedLLM([said]), "", exchange(1), 1_000)


def test_a_summary_is_shown_as_an_exchange():
    assert [message.role for message in as_messages("text")] == ["user", "assistant"]
    assert as_messages("text")[1].text == "text"
    assert as_messages("") == []


# --- the loop ---


async def test_what_fits_is_not_summarised():
    llm = ScriptedLLM(["ok"])
    events = await collect(agent_with(), llm, long_history(2))
    assert summaries(events) == []
    assert llm.requests[0].messages[1:] == tuple(long_history(2))


async def test_what_is_cut_is_summarised_once():
    history = long_history()
    llm = ScriptedLLM([Say(text="minutes", usage=Usage(100, 20, 1)), call("lookup", length=5), "ok"])
    events = await collect(agent_with(), llm, history)
    (summarized,) = summaries(events)
    assert (summarized.text, summarized.usage) == ("minutes", Usage(100, 20, 1))
    assert [type(event) for event in events[:3]] == [StepStarted, HistorySummarized, ModelReplied]
    asked, first, second = llm.requests
    assert is_summary_request(asked) and asked.tools == ()
    rest = history[summarized.count :]
    assert rest[0].role == "user" and 2 < len(rest) < len(history)
    assert first.messages == (Message.system("Be kind."), *as_messages("minutes"), *rest)
    assert second.messages[: len(first.messages)] == first.messages
    assert f"question {summarized.count // 2 - 1} " in asked.messages[1].text
    assert f"question {summarized.count // 2} " not in asked.messages[1].text
    assert events[-1].usage.llm_calls == 3 and events[-1].usage.input_tokens >= 100
    assert not [event for event in events if isinstance(event, TextDelta) and "minutes" in event.text]


async def test_there_is_room_for_a_while_after_a_summary():
    """It is not renewed with every message."""
    llm = ScriptedLLM(["minutes", "ok"])
    history = long_history()
    (summarized,) = summaries(await collect(agent_with(), llm, history))
    longer = [*history[summarized.count :], Message.assistant("ok"), *exchange(98), Message.user("and now?")]
    llm.extend(["fine"])
    assert summaries(await collect(agent_with(), llm, longer, "minutes")) == []
    assert llm.requests[-1].messages[1:3] == tuple(as_messages("minutes"))


async def test_a_summary_is_renewed_from_itself_and_what_came_after():
    llm = ScriptedLLM(["newer minutes", "ok"])
    (summarized,) = summaries(await collect(agent_with(), llm, long_history(), "older minutes"))
    assert summarized.text == "newer minutes"
    told = llm.requests[0].messages[1].text
    assert told.startswith("Summary of what came before:\nolder minutes\n\n")
    assert f"question {summarized.count // 2 - 1} " in told
    assert not [message for message in llm.requests[1].messages if "older minutes" in message.text]


async def test_a_run_that_grows_is_summarised_on_its_way_and_keeps_its_own_messages():
    history = [*exchange(1), *exchange(2), Message.user("look it up")]
    llm = ScriptedLLM([call("lookup", length=3_500), "minutes", "ok"])
    events = await collect(agent_with(), llm, history)
    (summarized,) = summaries(events)
    assert summarized.count == 4
    assert [message.role for message in llm.requests[2].messages] == [
        "system", "user", "assistant", "user", "assistant", "tool",
    ]  # fmt: skip
    assert llm.requests[2].messages[3].text == "look it up"


@pytest.mark.parametrize(
    ("failure", "is_answer"),
    [(cut("so f"), True), (LLMAuthError("no"), False), (ContextOverflow("too long"), False), ("", True)],
)
async def test_without_a_summary_the_history_is_cut(failure, is_answer, caplog):
    llm = ScriptedLLM([failure, call("lookup", length=5), "ok"])
    events = await collect(agent_with(), llm, long_history())
    assert summaries(events) == []
    assert isinstance(events[-1], RunFinished) and events[-1].usage.llm_calls == (3 if is_answer else 2)
    assert llm.requests[1].messages[-1].text == "the last one" and len(llm.requests[1].messages) < 25
    assert not any(map(is_summary_request, llm.requests[1:])), "it is not asked again in this run"
    assert "wrote no summary" in caplog.text


async def test_a_window_that_is_smaller_than_thought_leads_to_a_summary():
    llm = ScriptedLLM([ContextOverflow("too long"), "minutes", "ok"])
    events = await collect(agent_with(context_window=None), llm, long_history())
    assert len(summaries(events)) == 1
    assert [is_summary_request(request) for request in llm.requests] == [False, True, False]
    assert len(llm.requests[2].messages) < len(llm.requests[0].messages)
    assert events[-1].text == "ok"


async def test_the_request_for_a_summary_is_cancelled_at_once():
    llm = ScriptedLLM(["never"], gate=asyncio.Event())

    async def drive():
        await collect(agent_with(), llm, long_history())

    running = asyncio.create_task(drive())
    assert is_summary_request(await llm.asked())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert llm.closed == 1


async def test_by_default_nothing_is_summarised():
    llm = ScriptedLLM(["ok"])
    events = await collect(agent_with(compact="cut"), llm, long_history())
    assert summaries(events) == []
    assert 2 < len(llm.requests[0].messages) < len(long_history())


# --- the window ---


@pytest.mark.parametrize(
    ("of_agent", "of_model", "is_cut"),
    [(None, None, False), (None, WINDOW, True), (WINDOW, None, True), (50_000, WINDOW, False), (WINDOW, 50_000, True)],
)
async def test_the_window_is_the_agents_else_the_models_else_the_default(of_agent, of_model, is_cut):
    llm = ScriptedLLM(["ok"])
    if of_model is not None:
        llm.context_window = of_model
    await collect(agent_with(compact="cut", context_window=of_agent), llm, long_history())
    assert (len(llm.requests[0].messages) < len(long_history())) is is_cut
