"""What a run reports while it goes on. `react.run` yields these; whoever drives it stores and shows them.

When the generator is resumed after it yielded an event, the driver has taken note of it: the loop relies on this to
run a tool only after its call is on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from myagent.llm import Usage
from myagent.messages import Message
from myagent.protocol.server_base import Finish, ToolStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """The model is about to be asked; `step` counts from 1."""

    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta:
    """A piece of the model's reasoning."""

    step: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of the text of this step."""

    step: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReset:
    """What was shown of this step is void, it is asked again."""

    step: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySummarized:
    """From now on `text` stands for the first `count` messages of the history, and for what was summarised before.

    The history that later events of this run mean begins behind these messages. `usage` is the run's so far.
    """

    count: int
    text: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedCall:
    """One tool call of a reply.

    `arguments` are the parsed ones (empty when the model's JSON could not be parsed). `waits` is true when the call
    does not begin at once, because a person has to confirm it first or because it cannot run at all.
    """

    index: int
    call_id: str
    step_id: str
    name: str
    arguments: Mapping[str, Any]
    waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReplied:
    """The model asks for tools. Calls that do not wait begin when the generator is resumed."""

    step: int
    message: Message
    calls: tuple[RequestedCall, ...]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted:
    """A call that waited begins when the generator is resumed, with these arguments."""

    call: RequestedCall
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolProgress:
    """What a running tool says of how far it is; `percent` from 0 to 100."""

    call: RequestedCall
    text: str
    percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished:
    """The result of a call: `output` for people and log, `message` for the model.

    `state` is the session's state as the tool left it, or None when the tool did not run.
    """

    step: int
    call: RequestedCall
    status: ToolStatus
    output: str
    message: Message
    duration_ms: int
    error: str | None = None
    data: Any = None
    truncated: bool = False
    state: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The final answer; nothing follows. `message` is absent when the last reply is already part of the history."""

    step: int
    text: str
    finish: Finish
    message: Message | None
    usage: Usage = field(default_factory=Usage)


AgentEvent = (
    StepStarted
    | ReasoningDelta
    | TextDelta
    | StepReset
    | HistorySummarized
    | ModelReplied
    | ToolStarted
    | ToolProgress
    | ToolFinished
    | RunFinished
)
