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
from myagent.llm import LLM
from myagent.messages import Message
from myagent.run_context import RunContext
from myagent.tracing.spans import SpanKind, TracedSpan, Watcher

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer


CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CONTENT_VALUES = ("true", "1", "span_only", "span_and_event")
_OPERATIONS: dict[SpanKind, str] = {
    "run": "invoke_agent",
    "reply": "chat",
    "summary": "chat",
    "tool": "execute_tool",
}


def telemetry(agent: AgentDefinition, context: RunContext, llm: LLM) -> list[Watcher]:
    """The watcher that makes OpenTelemetry's spans of this run; none where that is not installed or not set up."""
    try:
        # Imported here because it need not be there.
        from opentelemetry import trace
    except ImportError:
        return []
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return []
    return [Telemetry(agent, context, llm, trace.get_tracer("myagent"))]


class Telemetry(Watcher):
    """One run: `invoke_agent` around `chat` and `execute_tool`."""

    def __init__(self, agent: AgentDefinition, context: RunContext, llm: LLM, tracer: Tracer) -> None:
        # Imported here because it takes python-dotenv along, which `import myagent` should not.
        from myagent.llm.endpoint import setting

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
        self._of_model = _model_attributes(llm)
        self._llm = llm

    def begun(self, span: TracedSpan) -> None:
        from opentelemetry.trace import SpanKind as OtelKind
        from opentelemetry.trace import set_span_in_context

        operation = _OPERATIONS[span.kind]
        otel = self._tracer.start_span(
            f"{operation} {span.name}",
            # Without a run, whatever the program is in the middle of.
            set_span_in_context(self._run) if self._run is not None else None,
            kind=OtelKind.CLIENT if operation == "chat" else OtelKind.INTERNAL,
            attributes={"gen_ai.operation.name": operation, **self._of_run, **self._known_before(span)},
        )
        if span.kind == "run":
            self._run = otel
        self._open[span.id] = otel

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
                otel.set_attributes(_server_attributes(self._llm))
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
                known = {**self._of_model, "myagent.max_steps": self._agent.max_steps}
                return known | ({"gen_ai.agent.description": text} if (text := self._agent.description) else {})
            case "tool":
                called = {"gen_ai.tool.name": span.name, "gen_ai.tool.type": "function", "myagent.step": span.step}
                if span.call is not None:
                    called["gen_ai.tool.call.id"] = span.call.call_id
                tool = self._agent.tools.get(span.name)
                text = tool.schema()["function"]["description"] if tool is not None else ""
                return called | ({"gen_ai.tool.description": text} if text else {})
            case _:
                asked = {"gen_ai.request.stream": True, "myagent.step": span.step, "myagent.attempt": span.attempt}
                return (
                    self._of_model
                    | _server_attributes(self._llm)
                    | asked
                    | ({"myagent.purpose": "summary"} if span.kind == "summary" else {})
                )


def _model_attributes(llm: LLM) -> dict[str, Any]:
    # "_OTHER" is what the conventions have for whatever they have no name for.
    provider = getattr(llm, "provider", None) or "_OTHER"
    return {"gen_ai.provider.name": provider, "gen_ai.request.model": llm.model}


def _server_attributes(llm: LLM) -> dict[str, Any]:
    server = getattr(llm, "server", None)
    return {} if server is None else {"server.address": server[0], "server.port": server[1]}


def _known_after(span: TracedSpan) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if span.usage is not None and (
        span.usage.input_tokens or span.usage.output_tokens
    ):  # else the endpoint did not count
        known |= {
            "gen_ai.usage.input_tokens": span.usage.input_tokens,
            "gen_ai.usage.output_tokens": span.usage.output_tokens,
        }
        known |= {name: count for name, count in _parts_of_usage(span) if count}
    if span.first_token_ms is not None:
        known["gen_ai.response.time_to_first_chunk"] = span.first_token_ms / 1000
    if span.retries:
        known["http.request.resend_count"] = span.retries
    if span.reply is not None and span.kind != "run":
        if span.reply.finish:
            known["gen_ai.response.finish_reasons"] = [span.reply.finish]
        if span.reply.model:
            known["gen_ai.response.model"] = span.reply.model
    elif span.kind == "run" and span.outcome == "ok":
        known["myagent.finish"] = span.finish
    return known


def _parts_of_usage(span: TracedSpan) -> Iterator[tuple[str, int]]:
    """The parts of input and output; those of the cache belong to one call of a model, not to a whole run."""
    if span.usage is None:
        return
    if span.kind != "run":
        yield "gen_ai.usage.cache_read.input_tokens", span.usage.cached_input_tokens
        yield "gen_ai.usage.cache_write.input_tokens", span.usage.cache_write_tokens
    yield "gen_ai.usage.reasoning.output_tokens", span.usage.reasoning_tokens


# --- content ----------------------------------------------------------------------------------------------------------


def _content(span: TracedSpan) -> dict[str, str]:
    """What was said, as JSON by the schemas of the conventions."""
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
        finish = span.reply.finish or span.finish
        content["gen_ai.output.messages"] = _json([{**_as_told(span.reply.message), "finish_reason": finish}])
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
