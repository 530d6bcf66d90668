"""What a run reports, as server events."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from myagent.events import (
    AgentEvent,
    LimitNear,
    LimitUse,
    ModelReplied,
    ModelWaiting,
    RequestedCall,
    RunFinished,
    StepReset,
    StepStarted,
    ToolFinished,
    ToolProgress,
)
from myagent.i18n import gettext as _
from myagent.loop.host import ConfirmationRequest
from myagent.loop.limit_words import name_of_limit
from myagent.protocol.direct_events import NoticeMetadata, SystemNotice
from myagent.protocol.server_base import LimitFields, ServerEvent
from myagent.protocol.server_events import (
    ConfirmMetadata,
    FinalAnswer,
    FinalMetadata,
    ImageFields,
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
from myagent.text import clean


@singledispatch
def to_wire(event: AgentEvent, run_id: str) -> tuple[ServerEvent, ...]:
    """The server events that show `event` to clients, in their order; not every event of a run is shown like that."""
    raise TypeError(f"{type(event).__name__} is not shown by server events of its own.")


@to_wire.register
def _step_started(event: StepStarted, run_id: str) -> tuple[ServerEvent, ...]:
    metadata = ThinkingMetadata(run_id=run_id, step=event.step)
    return (Thinking(content=_("Analysing your question..."), metadata=metadata),)


def notice_of(event: ModelWaiting | LimitNear, run_id: str) -> ServerEvent:
    """The notice of what happens to a run and is not part of its log."""
    return _model_waiting(event, run_id) if isinstance(event, ModelWaiting) else _limit_near(event, run_id)


def _model_waiting(event: ModelWaiting, run_id: str) -> ServerEvent:
    """The notice that the model's endpoint makes the run wait."""
    words = _("The model makes us wait; it is asked once more in %(seconds)d s.") % {"seconds": round(event.seconds)}
    metadata = NoticeMetadata(action="waiting_for_model", run_id=run_id, seconds=event.seconds)
    return SystemNotice(content=words, metadata=metadata)


def _limit_near(event: LimitNear, run_id: str) -> ServerEvent:
    """The notice that the run has used most of a limit."""
    percent = int(100 * event.use.used / event.use.allowed)
    words = _("%(percent)d %% of what this answer may use are used (%(what)s).")
    about = {"percent": percent, "what": name_of_limit(event.use.which)}
    metadata = NoticeMetadata(action="limit", run_id=run_id, percent=percent, limit=_limit_fields(event.use))
    return SystemNotice(content=words % about, metadata=metadata)


@to_wire.register
def _step_reset(event: StepReset, run_id: str) -> tuple[ServerEvent, ...]:
    answering: dict[str, Any] = {}
    if event.answering is not None:
        answering = {"model": clean(event.answering.name), "model_number": event.answering.number}
    metadata = StepResetMetadata(run_id=run_id, step=event.step, reason=event.reason, **answering)
    return (StepVoided(metadata=metadata),)


@to_wire.register
def _model_replied(event: ModelReplied, run_id: str) -> tuple[ServerEvent, ...]:
    return tuple(_tool_called(call, event.step, run_id) for call in event.calls)


def _tool_called(call: RequestedCall, step: int, run_id: str) -> ToolCalled:
    metadata = ToolCallMetadata(
        run_id=run_id, tool=call.name, args=dict(call.arguments), step=step, call_id=call.call_id
    )
    content = _("Calling tool: %(tool)s") % {"tool": call.name}
    return ToolCalled(step_id=call.step_id, content=content, metadata=metadata)


@to_wire.register
def _tool_progress(event: ToolProgress, run_id: str) -> tuple[ServerEvent, ...]:
    metadata = ToolProgressMetadata(run_id=run_id, tool=event.call.name, percent=event.percent)
    return (ToolProgressed(step_id=event.call.step_id, content=event.text, metadata=metadata),)


@to_wire.register
def _tool_finished(event: ToolFinished, run_id: str) -> tuple[ServerEvent, ...]:
    metadata = ToolResultMetadata(
        run_id=run_id,
        tool=event.call.name,
        status=event.status,
        error=event.error,
        duration_ms=event.duration_ms,
        data=event.data,
        truncated=True if event.truncated else None,
        images=[ImageFields(media_type=image.media_type, data=image.base64) for image in event.images] or None,
    )
    return (ToolReturned(step_id=event.call.step_id, content=event.output, metadata=metadata),)


def final_answer(event: RunFinished, run_id: str, *, duration_ms: int, model: str | None = None) -> FinalAnswer:
    usage = UsageMetadata(
        input_tokens=event.usage.input_tokens,
        output_tokens=event.usage.output_tokens,
        llm_calls=event.usage.llm_calls,
        cached_input_tokens=event.usage.cached_input_tokens or None,
        cache_write_tokens=event.usage.cache_write_tokens or None,
        reasoning_tokens=event.usage.reasoning_tokens or None,
        model=model,
        cost=None if (cost := event.usage.cost) is None else float(cost),
        currency=None if cost is None else event.usage.currency,
    )
    metadata = FinalMetadata(
        run_id=run_id,
        steps=event.step,
        duration_ms=duration_ms,
        usage=usage,
        finish=event.finish,
        output=event.output,
        limit=_limit_fields(event.limit) if event.limit is not None else None,
    )
    return FinalAnswer(content=event.text, metadata=metadata)


def _limit_fields(use: LimitUse) -> LimitFields:
    return LimitFields(which=use.which, used=use.used, allowed=use.allowed)


def confirmation(request: ConfirmationRequest, run_id: str, *, step_id: str) -> UserConfirm:
    metadata = ConfirmMetadata(
        run_id=run_id,
        tool_name=request.tool_name,
        tool_description=request.tool_description,
        tool_args=dict(request.tool_args),
        timeout_seconds=request.timeout,
        call_step_id=request.call_step_id,
    )
    return UserConfirm(step_id=step_id, content=request.question, metadata=metadata)


def run_failed(run_id: str, code: str, message: str, **details: Any) -> RunFailed:
    return RunFailed(content=message, metadata=RunErrorMetadata(run_id=run_id, code=code, **details))
