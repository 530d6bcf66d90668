"""OpenTelemetry's metrics for generative AI, where a provider of metrics is set up (extra `otel`).

Names, units and buckets are those of its conventions. They are counted for every agent, traced or not.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import cache
from typing import TYPE_CHECKING, Any

from myagent.agent_definition import AgentDefinition
from myagent.events import AgentEvent, RunFinished, ToolFinished
from myagent.llm import LLM
from myagent.tracing.model_request import OK, ModelRequest, ReportRequest, outcome_of
from myagent.tracing.opentelemetry import model_attributes, server_attributes

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

SECONDS = tuple(0.01 * 2**power for power in range(14))
TOKENS = tuple(4.0**power for power in range(14))
CALLS = tuple(2.0**power for power in range(8))
RUN_SECONDS = tuple(0.1 * 2**power for power in range(13))
_UNKNOWN_MODALITY = {"gen_ai.token.modality": "unknown"}


def genai_metrics(agent: AgentDefinition, llm: LLM, report: ReportRequest) -> GenAIMetrics | None:
    """What counts one run; None where OpenTelemetry is not installed or has no provider of metrics.

    Requests to the model are passed on to `report`.
    """
    try:
        # Imported here because it need not be there.
        from opentelemetry import metrics
    except ImportError:
        return None
    provider = metrics.get_meter_provider()
    if not is_set_up(provider):
        return None
    return GenAIMetrics(agent, llm, _instruments(provider), report)


def is_set_up(provider: MeterProvider) -> bool:
    """Whether metrics go anywhere: the providers of OpenTelemetry's API itself drop them."""
    return not type(provider).__module__.startswith("opentelemetry.metrics")


class GenAIMetrics:
    """Counts one run."""

    def __init__(self, agent: AgentDefinition, llm: LLM, instruments: _Instruments, report: ReportRequest) -> None:
        self._agent = agent
        self._llm = llm
        self._to = instruments
        self._report = report
        self._requests = self._calls = 0

    def take_request(self, request: ModelRequest) -> None:
        """Count a request to the model."""
        self._requests += 1
        about: dict[str, Any] = {"gen_ai.operation.name": "chat"} | model_attributes(self._llm)
        about |= server_attributes(self._llm)
        if request.response_model:
            about["gen_ai.response.model"] = request.response_model
        if request.first_seconds is not None:
            self._to.first_chunk.record(request.first_seconds, about)
        usage = request.usage
        for counter, count in (
            (self._to.input_tokens, usage.input_tokens),
            (self._to.output_tokens, usage.output_tokens),
            (self._to.cache_read, usage.cached_input_tokens),
            (self._to.cache_write, usage.cache_write_tokens),
            (self._to.reasoning, usage.reasoning_tokens),
        ):
            counter.add(count, about | _UNKNOWN_MODALITY)
        if usage.input_tokens or usage.output_tokens:  # else the endpoint did not count
            self._to.operation_input.record(usage.input_tokens, about)
            self._to.operation_output.record(usage.output_tokens, about)
        failed = {} if request.outcome == OK else {"error.type": request.outcome}
        self._to.duration.record(request.seconds, about | failed)
        self._report(request)

    async def counted(self, events: AsyncGenerator[AgentEvent]) -> AsyncGenerator[AgentEvent]:
        """The events of the run, as they are."""
        began, outcome = time.monotonic(), OK
        has_answer = False
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, ToolFinished):
                        self._take_call(event)
                    has_answer = isinstance(event, RunFinished)
                    yield event
        except BaseException as error:
            # Nobody needs to read on after the answer, and what goes wrong then is not the run.
            outcome = OK if has_answer else outcome_of(error)
            raise
        finally:
            about = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": self._agent.name}
            self._to.inference_calls.record(self._requests, about)
            self._to.tool_calls.record(self._calls, about)
            failed = {} if outcome == OK else {"error.type": outcome}
            self._to.agent_duration.record(time.monotonic() - began, about | failed)

    def _take_call(self, event: ToolFinished) -> None:
        self._calls += 1
        name = event.call.name if event.call.is_known else "unknown"
        about = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
        failed = {} if event.status == "success" else {"error.type": event.status}
        self._to.tool_duration.record(event.duration_ms / 1000, about | failed)


class _Instruments:
    """The instruments of one provider."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("myagent")

        def counter(name: str) -> Any:
            return meter.create_counter(f"gen_ai.client.inference.usage.{name}", unit="{token}")

        def histogram(name: str, unit: str, bounds: tuple[float, ...]) -> Any:
            return meter.create_histogram(f"gen_ai.{name}", unit=unit, explicit_bucket_boundaries_advisory=bounds)

        self.duration = histogram("client.inference.duration", "s", SECONDS)
        self.first_chunk = histogram("client.inference.time_to_first_chunk", "s", SECONDS)
        self.input_tokens, self.output_tokens = counter("input_tokens"), counter("output_tokens")
        self.cache_read = counter("cache_read.input_tokens")
        self.cache_write = counter("cache_write.input_tokens")
        self.reasoning = counter("reasoning.output_tokens")
        self.operation_input = histogram("client.inference.operation.input_tokens", "{token}", TOKENS)
        self.operation_output = histogram("client.inference.operation.output_tokens", "{token}", TOKENS)
        self.agent_duration = histogram("invoke_agent.duration", "s", RUN_SECONDS)
        self.inference_calls = histogram("invoke_agent.inference_calls", "{inference_call}", CALLS)
        self.tool_calls = histogram("invoke_agent.tool_calls", "{tool_call}", CALLS)
        self.tool_duration = histogram("execute_tool.duration", "s", SECONDS)


_instruments = cache(_Instruments)
