"""What a client sends, as the frames have it, and what the replies say."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from myagent.client.frames import Accepted, Replayed, ServerFrame
from myagent.protocol.client_events import UserCreateSession, UserResponse, UserUpdateSession
from myagent.protocol.client_fields import ClientEvent

Content = str | Sequence[Mapping[str, Any]]
"""What a user says: text, or OpenAI content parts."""

# What these events say stands in their `content`; the fields of all others are at top level.
_IN_CONTENT: dict[type[ClientEvent], dict[str, str]] = {
    UserCreateSession: {"agent": "agent", "title": "title", "session_metadata": "metadata"},
    UserUpdateSession: {"title": "title", "session_metadata": "metadata"},
    UserResponse: {"confirmed": "confirmed", "args": "args", "tasks": "tasks", "reason": "reason"},
}


def new_id() -> str:
    """An id that nobody else gives out."""
    return uuid.uuid4().hex


def wire(event: ClientEvent | Mapping[str, Any]) -> dict[str, Any]:
    """`event` as its frame has it."""
    if not isinstance(event, ClientEvent):
        return dict(event)
    fields = event.model_dump(exclude_none=True)
    if (inside := _IN_CONTENT.get(type(event))) is None:
        return fields
    content = {name: fields.pop(key) for key, name in inside.items() if key in fields}
    return {**fields, "content": content}


def message(session_id: str, content: Content, message_id: str | None = None) -> dict[str, Any]:
    """A `user.message`; without a `message_id` it gets a new one."""
    metadata = {"message_id": message_id or new_id()}
    return {"event": "user.message", "session_id": session_id, "content": content, "metadata": metadata}


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


def accepted(reply: ServerFrame) -> Accepted:
    """What the notice `accepted` says."""
    known = reply.metadata
    return Accepted(
        message_id=known["message_id"],
        run_id=known["run_id"],
        position=known["position"],
        duplicate=known.get("duplicate", False),
    )


def replayed(notice: ServerFrame) -> Replayed:
    """What the notice `replay` says."""
    known = notice.metadata
    return Replayed(count=known["replayed"], last_seq=known["last_seq"], run_status=known["run_status"])


def answers(frame: ServerFrame, request_id: str, answered_by: Callable[[ServerFrame], bool] | None = None) -> bool:
    """Whether `frame` is the reply to a request."""
    return frame.metadata.get("request_id") == request_id or (answered_by is not None and answered_by(frame))
