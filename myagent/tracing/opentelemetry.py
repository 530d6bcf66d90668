"""Spans for OpenTelemetry, by its conventions for generative AI, where its package is installed (extra `otel`).

The program configures where they are exported to, by OpenTelemetry's own variables or in code. Messages, arguments and
results are left out unless `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any
from uuid import UUID

from myagent.agent_definition import AgentDefinition
from myagent.llm import LLM, Usage
from myagent.messages import Message
from myagent.run_context import RunContext
from myagent.tracing.spans import SpanKind, TracedSpan, Watcher

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer


UNKNOWN_PROVIDER = "unknown"
"""A word of our own: the conventions have a list of names, and none for the rest."""
CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CONTENT_VALUES = ("true", "1", "span_only", "span_and_event")
_OPERATIONS: dict[SpanKind, str] = {
    "run": "invoke_agent",
    "reply": "chat",
    "summary": "chat",
    "tool": "execute_tool",
}


def is_set_up() -> bool:
    """Whether spans go anywhere: OpenTelemetry is installed, and somebody has given it a provider."""
    try:
        # Imported here because it need not be there.
        from opentelemetry import trace
    except ImportError:
        return False
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def telemetry(agent: AgentDefinition, context: RunContext, llm: LLM, traceparent: str = "") -> list[Watcher]:
    """The watcher that makes OpenTelemetry's spans of this run; none where that is not installed or not set up.

    `traceparent` is the span of others that the run is part of; by default it is the current one.
    """
    if not is_set_up():
        return []
    from opentelemetry import trace

    return [Telemetry(agent, context, llm, trace.get_tracer("myagent"), traceparent)]


class Telemetry(Watcher):
    """One run: `invoke_agent` around `chat` and `execute_tool`; and `hook`, a word of our own."""

    def __init__(
        self, agent: AgentDefinition, context: RunContext, llm: LLM, tracer: Tracer, traceparent: str = ""
    ) -> None:
        # Imported here because it takes python-dotenv along, which `import myagent` should not.
        from myagent.llm.http.endpoint import setting

        self._agent = agent
        self._tracer = tracer
        self._run: OtelSpan | None = None
        self._open: dict[UUID, OtelSpan] = {}
        self._keeps_content = (setting(CONTENT_VARIABLE) or "").lower() in _CONTENT_VALUES
        self._of_run: dict[str, Any] = {
            "gen_ai.agent.name": agent.name,
            "gen_ai.conversation.id": context.session_id,
            "myagent.run.id": context.run_id,
        }
        self._traceparent = traceparent
        self._is_compacted = False
        self._llm = llm

    def begun(self, span: TracedSpan) -> None:
        from opentelemetry.trace import SpanKind as OtelKind
        from opentelemetry.trace import set_span_in_context

        operation = _OPERATIONS.get(span.kind)
        named = {} if operation is None else {"gen_ai.operation.name": operation}
        otel = self._tracer.start_span(
            f"{operation or span.kind} {span.name}",
            set_span_in_context(self._run) if self._run is not None else self._outside(),
            kind=OtelKind.CLIENT if operation == "chat" else OtelKind.INTERNAL,
            attributes={**self._of_run, **named, **self._known_before(span)},
        )
        if span.kind == "run":
            self._run = otel
        self._open[span.id] = otel

    def _outside(self) -> Context | None:
        """Where the run belongs; None is whatever the program is in the middle of."""
        if not self._traceparent:
            return None
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        return TraceContextTextMapPropagator().extract({"traceparent": self._traceparent})

    def inside(self, span: TracedSpan) -> AbstractContextManager[Any]:
        from opentelemetry.trace import use_span

        otel = self._open.get(span.id)
        if otel is None:
            return nullcontext()
        # An error is recorded at the end, without the text and the traceback of the author's code.
        return use_span(otel, end_on_exit=False, record_exception=False, set_status_on_exception=False)

    def ended(self, span: TracedSpan) -> None:
        from opentelemetry.trace import StatusCode

        otel = self._open.pop(span.id, None)
        if otel is None:
            return
        if otel.is_recording():
            if span.kind in ("reply", "summary"):
                # The endpoint is settled by the first request.
                otel.set_attributes(server_attributes(self._llm))
            if span.kind == "summary" and span.outcome == "ok":
                self._is_compacted = True
            otel.set_attributes(_known_after(span))
            if self._keeps_content:
                otel.set_attributes(_content(span))
            if span.outcome != "ok":
                otel.set_attribute("error.type", span.finish or "interrupted")
                otel.set_status(StatusCode.ERROR, span.error or None)
        otel.end()

    def _known_before(self, span: TracedSpan) -> dict[str, Any]:
        match span.kind:
            case "run":
                known = {"gen_ai.request.model": self._llm.model, "myagent.max_steps": self._agent.max_steps}
                return known | ({"gen_ai.agent.description": text} if (text := self._agent.description) else {})
            case "tool":
                called = {"gen_ai.tool.name": span.name, "gen_ai.tool.type": "function", "myagent.step": span.step}
                if span.call is not None:
                    called["gen_ai.tool.call.id"] = span.call.call_id
                tool = self._agent.tools.get(span.name)
                text = tool.schema()["function"]["description"] if tool is not None else ""
                return called | ({"gen_ai.tool.description": text} if text else {})
            case "hook":
                about = {"myagent.hook.point": span.point, "myagent.step": span.step}
                return about | ({"gen_ai.tool.call.id": span.call.call_id} if span.call is not None else {})
            case _:
                asked = {"gen_ai.request.stream": True, "gen_ai.output.type": "text"}
                asked |= {"myagent.step": span.step, "myagent.attempt": span.attempt}
                if span.kind == "summary":
                    asked["myagent.purpose"] = "summary"
                elif self._is_compacted:
                    asked["gen_ai.conversation.compacted"] = True
                return model_attributes(self._llm) | server_attributes(self._llm) | asked


def model_attributes(llm: LLM) -> dict[str, Any]:
    """Which model is asked, and whose it is."""
    provider = getattr(llm, "provider", None) or UNKNOWN_PROVIDER
    return {"gen_ai.provider.name": provider, "gen_ai.request.model": llm.model}


def server_attributes(llm: LLM) -> dict[str, Any]:
    """Where it is asked, as far as that is known."""
    server = getattr(llm, "server", None)
    return {} if server is None else {"server.address": server[0], "server.port": server[1]}


def _known_after(span: TracedSpan) -> dict[str, Any]:
    known: dict[str, Any] = {}
    # Not of the run, whose calls have it: whoever adds up spans would count it twice.
    counted = span.usage if span.kind != "run" else None
    if counted is not None and (counted.input_tokens or counted.output_tokens):  # else the endpoint did not count
        known |= {
            "gen_ai.usage.input_tokens": counted.input_tokens,
            "gen_ai.usage.output_tokens": counted.output_tokens,
        }
        known |= {name: count for name, count in _parts_of_usage(counted) if count}
    if span.first_token_ms is not None:
        known["gen_ai.response.time_to_first_chunk"] = span.first_token_ms / 1000
    if span.retries:
        known["http.request.resend_count"] = span.retries
    if span.reply is not None and span.kind != "run":
        if span.reply.finish:
            known["gen_ai.response.finish_reasons"] = [span.reply.finish]
        if span.reply.model:
            known["gen_ai.response.model"] = span.reply.model
    elif span.kind in ("run", "hook") and span.outcome == "ok" and span.finish:
        known["myagent.finish"] = span.finish
    return known


def _parts_of_usage(usage: Usage) -> Iterator[tuple[str, int]]:
    """The parts of input and output."""
    yield "gen_ai.usage.cache_read.input_tokens", usage.cached_input_tokens
    yield "gen_ai.usage.cache_write.input_tokens", usage.cache_write_tokens
    yield "gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens


# --- content ----------------------------------------------------------------------------------------------------------


def _content(span: TracedSpan) -> dict[str, str]:
    """What was said, as JSON by the schemas of the conventions."""
    if span.kind == "hook":
        return {}
    if span.kind == "tool":
        kept: dict[str, Any] = {"gen_ai.tool.call.arguments": span.arguments}
        if span.result is not None:
            kept["gen_ai.tool.call.result"] = span.result.error or span.result.text
        return {name: value if isinstance(value, str) else _json(value) for name, value in kept.items()}
    system = [message for message in span.messages if message.role == "system"]
    others = [message for message in span.messages if message.role != "system"]
    content = {"gen_ai.input.messages": _json([_as_told(message) for message in others])}
    if system:
        content["gen_ai.system_instructions"] = _json([{"type": "text", "content": message.text} for message in system])
    if span.reply is not None:
        content["gen_ai.output.messages"] = _json([_as_told(span.reply.message)])
    if span.tools:
        content["gen_ai.tool.definitions"] = _json([{"type": "function", **tool["function"]} for tool in span.tools])
    return content


def _as_told(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        answer = {"type": "tool_call_response", "id": message.tool_call_id, "response": message.text}
        return {"role": "tool", "parts": [answer]}
    told: list[Mapping[str, Any]] = [{"type": "text", "content": message.text}] if message.text else []
    if not isinstance(message.content, str):
        told += [{"type": part.get("type", "")} for part in message.content if part.get("type") != "text"]
    for call in message.tool_calls:
        told.append({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments})
    return {"role": message.role, "parts": told}


def _json(value: Sequence[Any] | Mapping[str, Any] | None) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
