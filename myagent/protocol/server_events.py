"""Logged events: part of a session, numbered, stored, and sent to every connection of it."""

from __future__ import annotations

from typing import Any, Literal

from myagent.protocol.server_base import Finish, LimitFields, Metadata, Open, RunMetadata, ServerEvent, ToolStatus


class ForkedFrom(Metadata):
    """Where a session was forked from: before the message `message_id`, or behind the event `seq`."""

    session_id: str
    message_id: str | None = None
    seq: int | None = None


class SessionCreatedMetadata(Metadata):
    agent_name: str
    connection_id: str | None = None
    request_id: str | None = None
    forked_from: ForkedFrom | None = None


class SessionCreated(ServerEvent):
    event: Literal["agent.session_created"] = "agent.session_created"
    content: str
    metadata: SessionCreatedMetadata


class SessionUpdatedMetadata(Metadata):
    title: str
    metadata: dict[str, Any]


class SessionUpdated(ServerEvent):
    event: Literal["agent.session_updated"] = "agent.session_updated"
    content: str
    metadata: SessionUpdatedMetadata


class SessionEnd(ServerEvent):
    event: Literal["agent.session_end"] = "agent.session_end"
    content: str


class MessageMetadata(RunMetadata):
    message_id: str


class UserSaid(ServerEvent):
    """`user.message` as the log has it: for the other connections, and for replay."""

    event: Literal["user.message"] = "user.message"
    content: str | list[dict[str, Any]]
    metadata: MessageMetadata


class ResponseMetadata(RunMetadata):
    message_id: str | None = None


class UserAnswered(ServerEvent):
    """`user.response` as the log has it."""

    event: Literal["user.response"] = "user.response"
    content: dict[str, Any]
    metadata: ResponseMetadata


class FeedbackGiven(ServerEvent):
    """`user.feedback` as the log has it: `run_id`, `rating`, `comment`. The newest counts, null takes it back.

    The run is named in the content: no event is one of a run after its end.
    """

    event: Literal["user.feedback"] = "user.feedback"
    content: dict[str, Any]


class ThinkingMetadata(RunMetadata):
    step: int
    reasoning: Open[Literal[True] | None] = None
    index: int | None = None


class Thinking(ServerEvent):
    event: Literal["agent.thinking"] = "agent.thinking"
    content: str
    metadata: ThinkingMetadata


class PartialMetadata(RunMetadata):
    step: int
    index: int
    is_final: bool = False


class PartialAnswer(ServerEvent):
    event: Literal["agent.partial_answer"] = "agent.partial_answer"
    content: str
    metadata: PartialMetadata


class StepResetMetadata(RunMetadata):
    """`model` is the name of the one that answers from now on, `model_number` its place in the agent's list, from 0."""

    step: int
    reason: str
    model: str | None = None
    model_number: int | None = None


class StepVoided(ServerEvent):
    """`agent.step_reset`: the text of this step so far is void, and follows once more."""

    event: Literal["agent.step_reset"] = "agent.step_reset"
    content: str = ""
    metadata: StepResetMetadata


class ToolCallMetadata(RunMetadata):
    tool: str
    args: dict[str, Any]
    status: Open[Literal["running"]] = "running"
    step: int
    call_id: str


class ToolCalled(ServerEvent):
    event: Literal["agent.tool_call"] = "agent.tool_call"
    content: str
    metadata: ToolCallMetadata


class ToolProgressMetadata(RunMetadata):
    tool: str
    percent: float | None = None


class ToolProgressed(ServerEvent):
    event: Literal["agent.tool_progress"] = "agent.tool_progress"
    content: str
    metadata: ToolProgressMetadata


class ConfirmMetadata(RunMetadata):
    tool_name: str
    tool_description: str
    tool_args: dict[str, Any]
    requires_confirmation: Open[Literal[True]] = True
    scope: Open[Literal["tool", "plan"]] = "tool"
    timeout_seconds: float
    call_step_id: str


class UserConfirm(ServerEvent):
    event: Literal["agent.user_confirm"] = "agent.user_confirm"
    content: str
    metadata: ConfirmMetadata


class ImageFields(Metadata):
    """A picture of a tool's result; `data` is base64."""

    media_type: str
    data: str


class ToolResultMetadata(RunMetadata):
    tool: str
    status: Open[ToolStatus]
    error: str | None = None
    duration_ms: int
    data: Any = None
    truncated: Open[Literal[True] | None] = None
    images: list[ImageFields] | None = None


class ToolReturned(ServerEvent):
    event: Literal["agent.tool_result"] = "agent.tool_result"
    content: str
    metadata: ToolResultMetadata


class UsageMetadata(Metadata):
    """What the endpoint tells of cache and reasoning are parts of the input and the output.

    `model` is the one that gave the answer, where the agent has several. `cost` is there where all that was used has a
    price: a number in units of `currency` (ISO 4217), exact to nine decimals.
    """

    input_tokens: int
    output_tokens: int
    llm_calls: int
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    model: str | None = None
    cost: float | None = None
    currency: str | None = None


class FinalMetadata(RunMetadata):
    steps: int
    duration_ms: int
    usage: UsageMetadata
    finish: Open[Finish]
    output: dict[str, Any] | None = None
    limit: LimitFields | None = None


class FinalAnswer(ServerEvent):
    event: Literal["agent.final_answer"] = "agent.final_answer"
    content: str
    metadata: FinalMetadata


class InterruptedMetadata(RunMetadata):
    reason: str


class Interrupted(ServerEvent):
    event: Literal["agent.interrupted"] = "agent.interrupted"
    content: str
    metadata: InterruptedMetadata


class RunErrorMetadata(RunMetadata):
    """`scope` (whose budget it was) and `free_at` (when there is a new one) are there with `budget_exceeded` only,
    `problems` (what is wrong with the answer's value, each with the path of its field) with `output_invalid`, `limit`
    with `run_limit` only.
    """

    code: str
    scope: Open[Literal["user", "group", "agent"] | None] = None
    free_at: str | None = None
    problems: list[str] | None = None
    limit: LimitFields | None = None


class RunFailed(ServerEvent):
    """`agent.error` that ends a run: it has the `run_id`."""

    event: Literal["agent.error"] = "agent.error"
    content: str
    metadata: RunErrorMetadata


TERMINAL_EVENTS = frozenset({"agent.final_answer", "agent.interrupted", "agent.error"})
