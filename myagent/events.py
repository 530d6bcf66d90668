"""The events of a run, which `react.run` yields; its driver stores and shows them.

The driver resumes the generator when it has handled an event. The loop relies on this: a tool runs only after its call
is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from myagent.llm import Usage
from myagent.llm.fallback import AnsweringModel
from myagent.messages import Message
from myagent.protocol.server_base import Finish, Limit, ToolStatus
from myagent.tool.image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """The model is about to be asked; `step` counts from 1."""

    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWaiting:
    """The model's endpoint makes the run wait for so many seconds before it can be asked once more."""

    step: int
    seconds: float


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
    """The text of this step so far is void; the model is asked again.

    With the reason `fallback` it is another model, `answering`, for the rest of the run.
    """

    step: int
    reason: str
    answering: AnsweringModel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySummarized:
    """A summary, `text`, that replaces the first `count` messages of the history and the summary before it.

    For later events of the run the history begins after these messages. `usage` is what the run has spent so far.
    """

    count: int
    text: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedCall:
    """One tool call of a reply; `index` counts from 0 within the reply.

    `arguments` are the parsed ones (empty when the model's JSON could not be parsed). `waits` is true when the call
    does not begin at once: the user has to confirm it, other calls have to end before, or it cannot run at all.
    `is_known` says that the run has a tool of that name, `idempotent` that this may run again.
    """

    index: int
    call_id: str
    step_id: str
    name: str
    arguments: Mapping[str, Any]
    waits: bool
    is_known: bool = True
    idempotent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReplied:
    """A reply that calls tools. Calls that do not wait begin when the generator is resumed."""

    step: int
    message: Message
    calls: tuple[RequestedCall, ...]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyRejected:
    """A reply that is not the answer and calls nothing: `messages` are what the history has of it, its calls closed."""

    step: int
    messages: tuple[Message, ...]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted:
    """A call that waited begins when the generator is resumed, with these arguments."""

    call: RequestedCall
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolProgress:
    """The progress of a running tool; `percent` is from 0 to 100."""

    call: RequestedCall
    text: str
    percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished:
    """The result of a call: `output` is for people and for storage, `message` for the model.

    `truncated` says that `output` is not all of it. `images` are its pictures, which `message` has, too. `state` is the
    session's state to store, None when the call did not change it.
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
    images: tuple[Image, ...] = ()
    state: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """What a run has used of a limit, named by the agent's option; of time in seconds."""

    which: Limit
    used: float
    allowed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitNear:
    """The run has used most of a limit."""

    use: LimitUse


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The final answer; nothing follows. `message` is absent when the last reply is already part of the history.

    `limit` is the one that ended the run, if one did.
    `output` is the value of an agent that has one: as JSON, and in `instance` as its author's class.
    """

    step: int
    text: str
    finish: Finish
    message: Message | None
    usage: Usage = field(default_factory=Usage)
    output: dict[str, Any] | None = None
    instance: Any = None
    limit: LimitUse | None = None


AgentEvent = (
    StepStarted
    | ModelWaiting
    | ReasoningDelta
    | TextDelta
    | StepReset
    | HistorySummarized
    | ModelReplied
    | ReplyRejected
    | ToolStarted
    | ToolProgress
    | ToolFinished
    | LimitNear
    | RunFinished
)
