"""Counts what one run does, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Awaitable

from agents.metrics import measures
from myagent.agent import Agent
from myagent.events import AgentEvent, StepReset, ToolFinished
from myagent.exceptions import RunCancelled
from myagent.llm import NANOS
from myagent.loop.host import Decision
from myagent.tracing.model_request import ModelRequest

UNKNOWN_TOOL = "unknown"


class RunMeter:
    """`waited` is for how many seconds the run was queued."""

    def __init__(self, definition: Agent, *, waited: float, is_takeover: bool) -> None:
        self.has_text = is_takeover
        """Whether the first text was seen; of a run that was taken over nobody knows."""
        agent = self._agent = definition.name
        self._accepted_at = time.monotonic() - waited
        if is_takeover:
            measures.RUN_TAKEOVERS.add()
        else:
            measures.RUNS_STARTED.add(agent)
            measures.RUN_QUEUE.observe(waited, agent)

    def first_text(self) -> None:
        """The first piece of text came."""
        self.has_text = True
        measures.FIRST_TEXT.observe(time.monotonic() - self._accepted_at, self._agent)

    def take(self, event: AgentEvent) -> None:
        """Count an event of the run that is no piece of text."""
        match event:
            case ToolFinished():
                tool = event.call.name if event.call.is_known else UNKNOWN_TOOL
                measures.TOOL_CALLS.add(self._agent, tool, event.status)
                measures.TOOL_DURATION.observe(event.duration_ms / 1000, self._agent, tool)
            case StepReset(reason=reason):
                measures.STEP_RESETS.add(reason)
                if event.answering is not None:
                    measures.MODEL_FALLBACKS.add(self._agent, event.answering.name)

    def model_asked(self, request: ModelRequest) -> None:
        """Count a request to the model."""
        model, usage = request.model, request.usage
        measures.MODEL_REQUESTS.add(model, request.outcome)
        measures.MODEL_DURATION.observe(request.seconds, model)
        if request.first_seconds is not None:
            measures.MODEL_FIRST_CHUNK.observe(request.first_seconds, model)
        if repeated := request.retries + (request.attempt > 1):
            measures.MODEL_RETRIES.add(model, count=repeated)
        measures.INPUT_TOKENS.add(model, self._agent, count=usage.input_tokens)
        measures.OUTPUT_TOKENS.add(model, self._agent, count=usage.output_tokens)
        measures.CACHED_TOKENS.add(model, count=usage.cached_input_tokens)
        measures.REASONING_TOKENS.add(model, count=usage.reasoning_tokens)
        if usage.currency:
            measures.MODEL_COST.add(model, self._agent, usage.currency, count=usage.cost_nanos / NANOS)

    async def asked(self, asking: Awaitable[Decision]) -> Decision:
        """Count the answer to a question."""
        try:
            decision = await asking
        except RunCancelled:
            measures.CONFIRMATIONS_ANSWERED.add("withdrawn")
            raise
        answer = "timeout" if not decision.answered else "yes" if decision.confirmed else "no"
        measures.CONFIRMATIONS_ANSWERED.add(answer)
        return decision
