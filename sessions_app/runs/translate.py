"""What a run reports, as the wire has it."""

from __future__ import annotations

import uuid
from typing import Any

from myagent.events import ModelReplied, RequestedCall, RunFinished, StepReset, StepStarted, ToolFinished, ToolProgress
from myagent.i18n import gettext as _
from myagent.loop.host import ConfirmationRequest
from myagent.protocol.server_events import (
    ConfirmMetadata,
    FinalAnswer,
    FinalMetadata,
    RunErrorMetadata,
    RunFailed,
    StepResetMetadata,
    StepVoided,
    Thinking,
    ThinkingMetadata,
    ToolCalled,
    ToolCallMetadata,
    ToolProgressed,
    ToolProgressMetadata,
    ToolResultMetadata,
    ToolReturned,
    UsageMetadata,
    UserConfirm,
)


class Translator:
    """Builds the server events of one run."""

    def __init__(self, run_id: uuid.UUID) -> None:
        self.run_id = str(run_id)

    def step_started(self, event: StepStarted) -> Thinking:
        metadata = ThinkingMetadata(run_id=self.run_id, step=event.step)
        return Thinking(content=_("Analysing your question..."), metadata=metadata)

    def step_reset(self, event: StepReset) -> StepVoided:
        return StepVoided(metadata=StepResetMetadata(run_id=self.run_id, step=event.step, reason=event.reason))

    def tool_calls(self, event: ModelReplied) -> tuple[ToolCalled, ...]:
        return tuple(self._tool_call(call, event.step) for call in event.calls)

    def _tool_call(self, call: RequestedCall, step: int) -> ToolCalled:
        metadata = ToolCallMetadata(
            run_id=self.run_id, tool=call.name, args=dict(call.arguments), step=step, call_id=call.call_id
        )
        content = _("Calling tool: %(tool)s") % {"tool": call.name}
        return ToolCalled(step_id=call.step_id, content=content, metadata=metadata)

    def tool_progress(self, event: ToolProgress) -> ToolProgressed:
        metadata = ToolProgressMetadata(run_id=self.run_id, tool=event.call.name, percent=event.percent)
        return ToolProgressed(step_id=event.call.step_id, content=event.text, metadata=metadata)

    def tool_finished(self, event: ToolFinished) -> ToolReturned:
        metadata = ToolResultMetadata(
            run_id=self.run_id,
            tool=event.call.name,
            status=event.status,
            error=event.error,
            duration_ms=event.duration_ms,
            data=event.data,
            truncated=True if event.truncated else None,
        )
        return ToolReturned(step_id=event.call.step_id, content=event.output, metadata=metadata)

    def confirmation(self, request: ConfirmationRequest, step_id: str) -> UserConfirm:
        metadata = ConfirmMetadata(
            run_id=self.run_id,
            tool_name=request.tool_name,
            tool_description=request.tool_description,
            tool_args=dict(request.tool_args),
            timeout_seconds=request.timeout,
            call_step_id=request.call_step_id,
        )
        return UserConfirm(step_id=step_id, content=request.question, metadata=metadata)

    def final_answer(self, event: RunFinished, *, duration_ms: int) -> FinalAnswer:
        usage = UsageMetadata(
            input_tokens=event.usage.input_tokens,
            output_tokens=event.usage.output_tokens,
            llm_calls=event.usage.llm_calls,
            cached_input_tokens=event.usage.cached_input_tokens or None,
            cache_write_tokens=event.usage.cache_write_tokens or None,
            reasoning_tokens=event.usage.reasoning_tokens or None,
        )
        metadata = FinalMetadata(
            run_id=self.run_id, steps=event.step, duration_ms=duration_ms, usage=usage, finish=event.finish
        )
        return FinalAnswer(content=event.text, metadata=metadata)

    def error(self, code: str, message: str, **details: Any) -> RunFailed:
        return RunFailed(content=message, metadata=RunErrorMetadata(run_id=self.run_id, code=code, **details))
