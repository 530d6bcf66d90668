"""Spans: every call of the model and of tools is told, with how it went; and as OpenTelemetry has them."""

import asyncio
import json
import sys
from contextlib import aclosing

import pytest

from myagent import RetryTool, ToolFailed, ToolResult, create_react_agent, react, telemetry, tool
from myagent.exceptions import ContextOverflow, LLMAuthError
from myagent.host import RunContext
from myagent.llm import Usage
from myagent.local_host import LocalHost
from myagent.messages import Message
from myagent.testing import Say, ScriptedLLM, call, cut
from myagent.tracing import Trace, Watcher

otel = pytest.importorskip("opentelemetry.sdk.trace", reason="the extra 'otel' is not installed")


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


class Clock(ScriptedLLM):
    """A model with all that a model may have."""

    provider = "openai"
    server = ("models.example", 443)


async def watch(llm, *tools, question="hi", history=(), **options):
    """The spans of a run, and the error that it ended with."""
    notes = Notes()
    agent = create_react_agent(name="tester", tools=tools, enable_tracing=True, **options)
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
    raise ValueError("password: 1234")


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
            if isinstance(event, react.TextDelta):
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


# --- OpenTelemetry ----------------------------------------------------------------------------------------------------


@pytest.fixture
def exported(monkeypatch):
    """The finished spans, by name, of a provider that is there for one test."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = otel.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.delenv(telemetry.CONTENT_VARIABLE, raising=False)
    return exporter.get_finished_spans


def attributes(span):
    return dict(span.attributes)


async def test_the_spans_of_a_run(exported):
    script = [
        Say(calls=[call("weather", city="Paris")], usage=Usage(10, 5, 1)),
        Say(text="Sunny.", usage=Usage(7, 2, 1)),
    ]
    agent = create_react_agent(
        name="forecast", description="Tells the weather", tools=[weather], enable_tracing=True, llm=Clock(script)
    )
    assert await agent.arun("Weather in Paris?") == "Sunny."
    chat, ran, answered, whole = exported()
    assert [span.name for span in exported()] == [
        "chat scripted", "execute_tool weather", "chat scripted", "invoke_agent forecast",
    ]  # fmt: skip
    assert {span.parent.span_id for span in (chat, ran, answered)} == {whole.context.span_id}
    assert whole.parent is None
    assert [span.kind.name for span in exported()] == ["CLIENT", "INTERNAL", "CLIENT", "INTERNAL"]
    session = whole.attributes["gen_ai.conversation.id"]
    run_id = whole.attributes["myagent.run.id"]
    everywhere = {"gen_ai.agent.name": "forecast", "gen_ai.conversation.id": session, "myagent.run.id": run_id}
    model = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "scripted"}
    assert attributes(whole) == everywhere | model | {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.description": "Tells the weather",
        "gen_ai.usage.input_tokens": 17,
        "gen_ai.usage.output_tokens": 7,
        "myagent.max_steps": 20,
        "myagent.finish": "answer",
    }
    assert attributes(chat) == everywhere | model | {
        "server.address": "models.example",
        "server.port": 443,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.stream": True,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "myagent.step": 1,
        "myagent.attempt": 1,
    }
    assert answered.attributes["gen_ai.response.time_to_first_chunk"] >= 0
    assert attributes(ran) == everywhere | {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Tells the weather.",
        "gen_ai.tool.call.id": "call_1",
        "myagent.step": 1,
    }
    assert {span.status.status_code.name for span in exported()} == {"UNSET"}
    assert "Paris" not in "".join(span.to_json() for span in exported())


async def test_errors_are_told_without_what_may_be_secret(exported):
    failing = tool(fails)
    script = [cut("half"), call("fails", how="bug"), LLMAuthError("The key is wrong.")]
    agent = create_react_agent(tools=[failing], enable_tracing=True, llm=ScriptedLLM(script))
    with pytest.raises(LLMAuthError):
        await agent.arun("hi")
    told = [(span.name.split()[0], span.attributes.get("error.type"), span.status.description) for span in exported()]
    assert told == [
        ("chat", "stream_cut", "the script cuts the stream here"),
        ("chat", None, None),
        ("execute_tool", "ValueError", None),
        ("chat", "llm_auth", "The key is wrong."),
        ("invoke_agent", "llm_auth", "The key is wrong."),
    ]
    assert "1234" not in "".join(span.to_json() for span in exported())
    assert exported()[0].attributes["gen_ai.provider.name"] == "_OTHER"


async def test_the_authors_own_spans_are_inside_those_of_their_tool(exported):
    from opentelemetry import trace

    def in_a_thread() -> str:
        """Traces something itself."""
        with trace.get_tracer("author").start_as_current_span("plain"):
            return "ok"

    async def on_the_loop() -> str:
        """Traces something itself."""
        with trace.get_tracer("author").start_as_current_span("async"):
            return "ok"

    llm = ScriptedLLM([[call("in_a_thread"), call("on_the_loop")], "ok"])
    agent = create_react_agent(tools=[tool(in_a_thread), tool(on_the_loop)], enable_tracing=True, llm=llm)
    with trace.get_tracer("author").start_as_current_span("outside"):
        await agent.arun("hi")
    spans = {span.name: span for span in exported()}
    for inner, outer in (
        ("plain", "execute_tool in_a_thread"),
        ("async", "execute_tool on_the_loop"),
        ("execute_tool in_a_thread", "invoke_agent agent"),
        ("invoke_agent agent", "outside"),
    ):
        assert spans[inner].parent.span_id == spans[outer].context.span_id, inner


async def test_what_the_model_s_client_traces_is_inside_of_the_call(exported):
    from opentelemetry import trace

    class Instrumented(ScriptedLLM):
        async def stream(self, messages, *, tools=()):
            with trace.get_tracer("http").start_as_current_span("POST"):
                await asyncio.sleep(0)
            async for chunk in super().stream(messages, tools=tools):
                yield chunk

    await create_react_agent(enable_tracing=True, llm=Instrumented(["ok"])).arun("hi")
    spans = {span.name: span for span in exported()}
    assert spans["POST"].parent.span_id == spans["chat scripted"].context.span_id
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("value", ["true", "SPAN_ONLY"])
async def test_content_when_asked_for(exported, monkeypatch, value):
    monkeypatch.setenv(telemetry.CONTENT_VARIABLE, value)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    llm = ScriptedLLM([call("weather", city="Paris"), "Sunny."])
    agent = create_react_agent(tools=[weather], system_prompt="Be kind.", enable_tracing=True, llm=llm)
    await agent.arun([{"type": "text", "text": "Where?"}, picture])
    _, ran, answered, whole = exported()
    assert json.loads(answered.attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be kind."}]
    assert json.loads(answered.attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Where?"}, {"type": "image_url"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "call_1", "name": "weather", "arguments": '{"city": "Paris"}'}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "sunny in Paris"}]},
    ]
    said = json.loads(whole.attributes["gen_ai.output.messages"])
    assert said == [{"role": "assistant", "parts": [{"type": "text", "content": "Sunny."}], "finish_reason": "answer"}]
    assert json.loads(ran.attributes["gen_ai.tool.call.arguments"]) == {"city": "Paris"}
    assert ran.attributes["gen_ai.tool.call.result"] == "sunny in Paris"


async def test_without_the_package_nothing_is_missed(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert await create_react_agent(enable_tracing=True, llm=ScriptedLLM(["ok"])).arun("hi") == "ok"


async def test_where_nobody_has_set_it_up_nothing_is_made(monkeypatch):
    from opentelemetry import trace

    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    context = RunContext(session_id="s", run_id="r", agent="agent")
    assert telemetry.telemetry(create_react_agent(enable_tracing=True), context, ScriptedLLM()) == []
