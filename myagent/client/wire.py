"""What a client sends, as the frames have it, and what the replies say."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, Literal, TypeVar

from myagent.client.frames import ServerFrame
from myagent.protocol.client_fields import ClientEvent

Kind = TypeVar("Kind")

Content = str | Sequence[Mapping[str, Any]]
"""What a user says: text, or OpenAI content parts."""

AskedWhenBusy = Literal["queue", "steer", "interrupt"]
"""What is to be done with a message that comes during a run."""


def new_id() -> str:
    """An id that nobody else gives out."""
    return uuid.uuid4().hex


def wire(event: ClientEvent | Mapping[str, Any]) -> dict[str, Any]:
    """`event` as its frame has it."""
    if not isinstance(event, ClientEvent):
        return dict(event)
    fields = event.model_dump(exclude_none=True)
    content = {key: fields.pop(field) for key, field in event.content_fields.items() if field in fields}
    if content.keys() == {"content"}:  # what is said needs no object around it
        content = content["content"]
    return {**fields, "content": content} if event.content_fields else fields


def with_request_id(event: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The frame of an event with a request id, which comes back on the reply, and that id."""
    request_id = new_id()
    return {**event, "metadata": {**event.get("metadata", {}), "request_id": request_id}}, request_id


def message(
    session_id: str,
    content: Content,
    message_id: str | None = None,
    *,
    when_busy: AskedWhenBusy | None = None,
    output_schema: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A `user.message`; without a `message_id` it gets a new one."""
    metadata = {"message_id": message_id or new_id()}
    if when_busy is not None:
        metadata["when_busy"] = when_busy
    said = content if output_schema is None else {"content": content, "output_schema": dict(output_schema)}
    return {"event": "user.message", "session_id": session_id, "content": said, "metadata": metadata}


def response(
    session_id: str,
    step_id: str,
    confirmed: bool,
    *,
    args: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """A `user.response`."""
    answer = {"confirmed": confirmed, "args": args, "reason": reason}
    content = {key: value for key, value in answer.items() if value is not None}
    return {"event": "user.response", "session_id": session_id, "step_id": step_id, "content": content}


def read(kind: type[Kind], known: Mapping[str, Any], **more: Any) -> Kind:
    """`known` and `more` as a dataclass; keys that this version does not know are left out."""
    names = signature(kind).parameters
    return kind(**{key: value for key, value in {**known, **more}.items() if key in names})


def answers(frame: ServerFrame, request_id: str, answered_by: Callable[[ServerFrame], bool] | None = None) -> bool:
    """Whether `frame` is the reply to a request."""
    return frame.metadata.get("request_id") == request_id or (answered_by is not None and answered_by(frame))
