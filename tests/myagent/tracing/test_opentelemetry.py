"""The spans of a run as OpenTelemetry has them: named and related by its conventions, and without what was said."""

import asyncio
import json
import sys

import pytest

from myagent import Refuse, create_react_agent, hook, tool
from myagent.exceptions import LLMAuthError
from myagent.llm import Usage
from myagent.loop import react
from myagent.loop.local_host import LocalHost
from myagent.messages import Message
from myagent.run_context import RunContext
from myagent.testing import Say, ScriptedLLM, call, cut
from myagent.tracing import opentelemetry as telemetry
from myagent.tracing.spans import Trace
from tests.support.services import module

otel = module("opentelemetry.sdk.trace", extra="otel")
trace_api = module("opentelemetry.trace", extra="otel")


@tool
async def weather(city: str) -> str:
    """Tells the weather."""
    return f"sunny in {city}"


class Clock(ScriptedLLM):
    """A model with all that a model may have."""

    provider = "openai"
    server = ("models.example", 443)


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
    # No tokens: they are those of its calls, and whoever adds up all spans would have them twice.
    assert attributes(whole) == everywhere | {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.request.model": "scripted",
        "gen_ai.agent.description": "Tells the weather",
        "myagent.max_steps": 20,
        "myagent.finish": "answer",
    }
    assert attributes(chat) == everywhere | model | {
        "server.address": "models.example",
        "server.port": 443,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "text",
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
    @tool
    async def fails() -> str:
        """Fails, with words that nobody may see."""
        raise ValueError("password: swordfish")

    script = [cut("half"), call("fails"), LLMAuthError("The key is wrong.")]
    agent = create_react_agent(tools=[fails], enable_tracing=True, llm=ScriptedLLM(script))
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
    assert "swordfish" not in "".join(span.to_json() for span in exported())
    assert exported()[0].attributes["gen_ai.provider.name"] == "unknown"


async def test_hooks_have_a_word_of_our_own(exported):
    def check(called):
        return None

    def stop(answer):
        raise Refuse("Not that.")

    agent = create_react_agent(
        name="forecast",
        tools=lambda run: [weather],
        enable_tracing=True,
        llm=ScriptedLLM([call("weather", city="Paris"), "Sunny."]),
        hooks=[hook("before_tool")(check), hook("answer")(stop)],
    )
    assert await agent.arun("hi") == "Not that."
    chose, _chat, checked, ran, _answered, stopped, whole = exported()
    assert [span.name for span in (chose, checked, stopped)] == ["hook <lambda>", "hook check", "hook stop"]
    about = [{k: v for k, v in span.attributes.items() if k != "myagent.run.id"} for span in (chose, checked, stopped)]
    assert [(one["myagent.hook.point"], one["myagent.step"]) for one in about] == [
        ("tools", 0),
        ("before_tool", 1),
        ("answer", 2),
    ]
    assert about[1]["gen_ai.tool.call.id"] == "call_1" and "gen_ai.operation.name" not in about[1]
    assert about[2]["myagent.finish"] == whole.attributes["myagent.finish"] == "refused"
    assert stopped.status.status_code.name == "UNSET" and stopped.parent.span_id == whole.context.span_id
    assert ran.attributes["gen_ai.tool.description"] == "Tells the weather.", "that of the run's own tools"


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
    assert said == [{"role": "assistant", "parts": [{"type": "text", "content": "Sunny."}]}]
    (definition,) = json.loads(answered.attributes["gen_ai.tool.definitions"])
    assert definition == {"type": "function", **weather.schema()["function"]}
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


async def test_parts_of_the_tokens(exported):
    script = [
        Say(text="Sunny.", usage=Usage(10, 5, 1, cached_input_tokens=8, cache_write_tokens=1, reasoning_tokens=3))
    ]
    agent = create_react_agent(name="forecast", llm=ScriptedLLM(script), enable_tracing=True)
    await agent.arun("Weather?")
    chat, whole = exported()
    parts = {
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.cache_write.input_tokens": 1,
        "gen_ai.usage.reasoning.output_tokens": 3,
    }
    assert parts.items() <= dict(chat.attributes).items() and not parts.keys() & dict(whole.attributes).keys()


async def test_a_run_is_part_of_the_trace_that_caused_it(exported):
    agent = create_react_agent(enable_tracing=True)
    trace_id, span_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    context = RunContext(session_id="s", run_id="r", agent="agent")
    run = react.run(
        agent,
        [Message.user("hi")],
        host=LocalHost(),
        context=context,
        llm=ScriptedLLM(["ok"]),
        traceparent=f"00-{trace_id}-{span_id}-01",
    )
    assert [event async for event in run]
    chat, whole = exported()
    assert f"{whole.parent.span_id:016x}" == span_id and whole.parent.is_remote
    assert {f"{span.context.trace_id:032x}" for span in (chat, whole)} == {trace_id}


async def test_what_follows_a_summary_says_so(exported):
    context = RunContext(session_id="s", run_id="r", agent="agent")
    watcher = telemetry.Telemetry(create_react_agent(), context, ScriptedLLM(), trace_api.get_tracer("t"))
    for kind in ("reply", "summary", "reply"):
        with Trace([watcher]).span(kind, "scripted"):
            pass
    compacted = [span.attributes.get("gen_ai.conversation.compacted") for span in exported()]
    assert compacted == [None, None, True]
