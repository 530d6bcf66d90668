"""Spans: every call of the model and of tools is told, with how it went."""

import asyncio
from contextlib import aclosing

import pytest

from myagent import Refuse, RetryTool, ToolFailed, ToolResult, create_react_agent, hook, tool
from myagent.events import TextDelta
from myagent.exceptions import ContextOverflow, LLMAuthError
from myagent.llm import Usage
from myagent.loop import react
from myagent.loop.local_host import LocalHost
from myagent.messages import Message
from myagent.run_context import RunContext
from myagent.testing import Say, ScriptedLLM, call, cut
from myagent.tracing.spans import Trace, Watcher


@tool
async def weather(city: str) -> str:
    """Tells the weather."""
    return f"sunny in {city}"


class Notes(Watcher):
    """Remembers the spans, and what was told of them in which order."""

    def __init__(self):
        self.spans = []
        self.order = []

    def begun(self, span):
        assert span.outcome is None
        self.spans.append(span)
        self.order.append(f"{span.kind} begins")

    def ended(self, span):
        assert span.outcome is not None and span.duration_ms >= (span.first_token_ms or 0)
        self.order.append(f"{span.kind} ends")

    def of(self, kind):
        return [span for span in self.spans if span.kind == kind]


async def watch(llm, *tools, question="hi", history=(), choose=None, **options):
    """The spans of a run, and the error that it ended with."""
    notes = Notes()
    agent = create_react_agent(name="tester", tools=choose or tools, enable_tracing=True, **options)
    context = RunContext(session_id="s1", run_id="r1", agent="tester")
    run = react.run(
        agent, [*history, Message.user(question)], host=LocalHost(), context=context, llm=llm, watchers=[notes]
    )
    error = None
    async with aclosing(run) as events:
        try:
            async for _ in events:
                pass
        except Exception as raised:  # noqa: BLE001 - looked at by the test
            error = raised
    return notes, error


def facts(spans, *names):
    return [tuple(getattr(span, name) for name in names) for span in spans]


# --- what is told -----------------------------------------------------------------------------------------------------


async def test_every_call_is_a_span_within_the_run():
    script = [Say(calls=[call("weather", city="X"), call("weather", city="Y")], usage=Usage(10, 5, 1)), "Sunny."]
    notes, _ = await watch(ScriptedLLM(script), weather)
    replies, calls = ["reply begins", "reply ends"], ["tool begins"] * 2 + ["tool ends"] * 2
    assert notes.order[:3] + sorted(notes.order[3:7]) + notes.order[7:] == [
        "run begins", *replies, *calls, *replies, "run ends",
    ]  # fmt: skip
    assert facts(notes.of("reply"), "name", "step", "attempt", "outcome") == [
        ("scripted", 1, 1, "ok"),
        ("scripted", 2, 1, "ok"),
    ]
    assert facts(notes.of("tool"), "name", "step", "outcome", "arguments") == [
        ("weather", 1, "ok", {"city": "X"}),
        ("weather", 1, "ok", {"city": "Y"}),
    ]
    assert [span.call.call_id for span in notes.of("tool")] == ["call_1", "call_2"]
    (whole,) = notes.of("run")
    assert (whole.name, whole.outcome, whole.finish, whole.usage) == ("tester", "ok", "answer", Usage(10, 5, 2))
    assert [span.usage for span in notes.of("reply")] == [Usage(10, 5, 1), Usage(llm_calls=1)]
    asks, answers = notes.of("reply")
    assert asks.first_token_ms is None and answers.first_token_ms is not None


async def test_nobody_is_told_anything_unless_the_agent_says_so():
    notes = Notes()
    agent = create_react_agent(tools=[weather])
    context = RunContext(session_id="s", run_id="r", agent="agent")
    llm = ScriptedLLM([call("weather", city="X"), "ok"])
    run = react.run(agent, [Message.user("hi")], host=LocalHost(), context=context, llm=llm, watchers=[notes])
    assert [event async for event in run][-1].text == "ok"
    assert notes.spans == []


async def test_attempts_of_a_step_are_counted():
    notes, _ = await watch(ScriptedLLM([cut("half"), ContextOverflow("too long"), "whole"]), history=[
        Message.user("x" * 1000), Message.assistant("y" * 1000),
    ])  # fmt: skip
    assert facts(notes.of("reply"), "step", "attempt", "outcome", "finish") == [
        (1, 1, "failed", "stream_cut"),
        (1, 2, "failed", "context_overflow"),
        (1, 3, "ok", ""),
    ]
    assert notes.of("reply")[1].error == "too long"


async def test_a_stream_without_a_reply_is_a_failed_attempt():
    class Mute(ScriptedLLM):
        async def stream(self, messages, *, tools=()):
            if not self.requests:
                self.requests.append(None)
                return
            async for chunk in super().stream(messages, tools=tools):
                yield chunk

    notes, error = await watch(Mute(["ok"]))
    assert error is None
    assert facts(notes.of("reply"), "attempt", "outcome", "finish") == [(1, "failed", "stream_cut"), (2, "ok", "")]


async def test_a_summary_is_a_call_of_its_own():
    history = [Message.user("x" * 4000), Message.assistant("y" * 4000)]
    notes, _ = await watch(
        ScriptedLLM(["They talked.", "ok"]), history=history, compact="summarize", context_window=800
    )
    assert facts(notes.of("summary"), "step", "outcome") == [(1, "ok")]
    assert notes.order[:5] == ["run begins", "summary begins", "summary ends", "reply begins", "reply ends"]


async def test_an_error_that_ends_the_run():
    notes, error = await watch(ScriptedLLM([LLMAuthError("The key is wrong.")]))
    assert isinstance(error, LLMAuthError)
    for kind in ("reply", "run"):
        assert facts(notes.of(kind), "outcome", "finish", "error") == [("failed", "llm_auth", "The key is wrong.")]


async def fails(how: str) -> ToolResult:
    """Fails in many ways."""
    match how:
        case "retry":
            raise RetryTool("say it differently")
        case "result":
            return ToolResult(error="sold out")
        case "failed":
            raise ToolFailed("closed")
        case "slow":
            await asyncio.Event().wait()
    raise ValueError("password: swordfish")


@pytest.mark.parametrize(
    ("how", "finish", "error"),
    [
        ("retry", "tool_retry", "say it differently"),
        ("failed", "tool_failed", "closed"),
        ("result", "tool_failed", "sold out"),
        ("slow", "timeout", ""),
        ("bug", "ValueError", ""),
    ],
)
async def test_how_a_tool_failed(how, finish, error):
    failing = tool(timeout=0.05)(fails)
    notes, _ = await watch(ScriptedLLM([call("fails", how=how), "ok"]), failing)
    assert facts(notes.of("tool"), "outcome", "finish", "error") == [("failed", finish, error)]
    assert notes.of("run")[0].outcome == "ok"


async def test_a_call_that_was_not_allowed_to_run_is_none():
    asks_first = tool(requires_confirmation=True)(weather.execute)
    notes, _ = await watch(ScriptedLLM([[call("weather", city="X"), call("nothing")], "ok"]), asks_first)
    assert notes.of("tool") == []


async def test_what_is_broken_off_is_told():
    started = asyncio.Event()

    @tool
    async def endless() -> str:
        """Never ends."""
        started.set()
        await asyncio.Event().wait()
        return ""

    task = asyncio.create_task(watch(llm := ScriptedLLM([call("endless")]), endless))
    watching = Notes()
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert llm.remaining == 0

    agent = create_react_agent(enable_tracing=True)
    context = RunContext(session_id="s", run_id="r", agent="agent")
    run = react.run(
        agent, [Message.user("hi")], host=LocalHost(), context=context, llm=ScriptedLLM(["a b c"]), watchers=[watching]
    )
    async with aclosing(run) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert facts(watching.spans, "kind", "outcome") == [("run", "interrupted"), ("reply", "interrupted")]
    assert watching.order[-2:] == ["reply ends", "run ends"]


async def test_a_watcher_that_fails_ends_no_run(caplog):
    class Broken(Watcher):
        def begun(self, span):
            raise ValueError("broken")

    trace = Trace([Broken(), notes := Notes()])
    with trace.span("tool", "x"):
        pass
    assert notes.order == ["tool begins", "tool ends"]
    assert "A watcher of spans failed" in caplog.text


# --- hooks ------------------------------------------------------------------------------------------------------------


async def test_hooks_and_functions_of_options_have_spans():
    async def choose(run):
        return [weather]

    def check(call):
        return None

    def stop(answer):
        raise Refuse("Not that, 1234.")

    notes, error = await watch(
        ScriptedLLM([call("weather", city="X"), "ok"]),
        hooks=[hook("before_tool")(check), hook("answer")(stop)],
        system_prompt=lambda run: "Be kind.",
        choose=choose,
    )
    assert error is None
    assert facts(notes.of("hook"), "point", "name", "step", "outcome", "finish") == [
        ("system_prompt", "<lambda>", 0, "ok", ""),
        ("tools", "choose", 0, "ok", ""),
        ("before_tool", "check", 1, "ok", ""),
        ("answer", "stop", 2, "ok", "refused"),
    ]
    assert [span.call and span.call.call_id for span in notes.of("hook")] == [None, None, "call_1", None]
    assert notes.of("run")[0].finish == "refused"


@pytest.mark.parametrize(
    ("raised", "finish"), [(ValueError("the password"), "ValueError"), (ToolFailed("not now"), "tool_failed")]
)
async def test_the_span_of_a_hook_says_how_it_failed(raised, finish):
    def fail(call):
        raise raised

    notes, _ = await watch(ScriptedLLM([call("weather", city="X"), "ok"]), weather, hooks=[hook("before_tool")(fail)])
    (span,) = notes.of("hook")
    assert (span.outcome, span.finish) == ("failed", finish) and "password" not in span.error
