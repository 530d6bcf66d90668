"""Everything a client may send. Fields beyond those named are ignored, so that old servers bear newer clients."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictBool, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from myagent.i18n import gettext as _
from myagent.protocol.client_fields import (
    ClientEvent,
    CursorEvent,
    SessionEvent,
    SessionMetadata,
    SessionTitle,
    bad_field,
    lift,
    sequence_number,
)
from myagent.protocol.cursor import split_event_id
from myagent.protocol.fork_events import UserFeedback, UserFork
from myagent.protocol.message_events import UserMessage, UserWithdraw


class UserCreateSession(ClientEvent):
    """Begin a conversation; an object as `content` may name `agent`, `title` and `metadata`."""

    content_fields: ClassVar = {"agent": "agent", "title": "title", "metadata": "session_metadata"}

    event: Literal["user.create_session"] = "user.create_session"
    agent: StrictStr | None = None
    title: SessionTitle = ""
    session_metadata: SessionMetadata = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_content(cls, data: Any) -> Any:
        content = data.get("content") if isinstance(data, dict) else None
        if not isinstance(content, dict):
            content = {}
        given = {field: content[key] for key, field in cls.content_fields.items() if content.get(key) is not None}
        # Only `content` speaks of the session; the same words at top level are unknown keys.
        return {"event": data.get("event"), "metadata": data.get("metadata") or {}, **given}


class UserResponse(SessionEvent):
    """The answer to a confirmation. Anything that is not clearly a yes or a no is refused."""

    content_fields: ClassVar = {"confirmed": "confirmed", "args": "args", "tasks": "tasks", "reason": "reason"}

    event: Literal["user.response"] = "user.response"
    step_id: StrictStr
    confirmed: StrictBool
    args: dict[str, Any] | None = None
    tasks: list[Any] | None = None
    reason: StrictStr | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_content(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        content = data.get("content")
        if isinstance(content, bool):
            content = {"confirmed": content}
        if not isinstance(content, dict):
            raise bad_field(_("content should be {confirmed: true} or {confirmed: false}"))
        answers = [content[key] for key in ("confirmed", "approved") if key in content]
        if not answers or any(answer is not answers[0] for answer in answers):
            raise bad_field(_("content should say confirmed: true or confirmed: false, once"))
        given = {field: content.get(key) for key, field in cls.content_fields.items()}
        kept = {key: data[key] for key in ("event", "session_id", "step_id", "metadata") if key in data}
        return {**kept, **given, "confirmed": answers[0]}


class UserCancel(SessionEvent):
    """Stop the run that is going and all queued ones."""

    event: Literal["user.cancel"] = "user.cancel"


class UserReconnect(SessionEvent, CursorEvent):
    """Attach to a session and send what lies after the cursor."""

    event: Literal["user.reconnect"] = "user.reconnect"


class UserReconnectWithState(CursorEvent):
    """Continue a session from an exported state. What is no state is refused later, with the reason."""

    event: Literal["user.reconnect_with_state"] = "user.reconnect_with_state"
    signed_state: Any


class UserRequestState(SessionEvent):
    """Ask for the exported state of a session."""

    event: Literal["user.request_state"] = "user.request_state"


class UserAck(ClientEvent):
    """The client has everything up to this event. What cannot be understood is one without `session_id` or `seq`."""

    is_answered: ClassVar = False
    names: ClassVar = ("session_id", "last_event_id", "last_seq", "seq")

    event: Literal["user.ack"] = "user.ack"
    session_id: str | None = None
    seq: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _whatever_is_meant(cls, data: dict[str, Any]) -> dict[str, Any]:
        content = data.get("content")
        places = (content if isinstance(content, dict) else {"seq": content}, data)
        given: dict[str, Any] = {
            name: place[name] for place in places for name in cls.names if place.get(name) is not None
        }
        try:
            if "last_event_id" in given:
                session_id, seq = split_event_id(given["last_event_id"])
                is_clear = given.get("session_id", session_id) == session_id
            else:
                session_id, seq = given["session_id"], sequence_number(given.get("seq", given.get("last_seq")))
                is_clear = isinstance(session_id, str)
        except (AttributeError, KeyError, ValueError):
            is_clear = False
        return {"event": data["event"], **({"session_id": session_id, "seq": seq} if is_clear else {})}


class UserCloseSession(SessionEvent):
    """End a conversation: nothing more can be said in it, everything stays readable."""

    event: Literal["user.close_session"] = "user.close_session"


class UserListSessions(ClientEvent):
    """Ask for the caller's sessions, newest first; `before` is the `next` of the page before.

    `families` asks for the newest of each family alone, `family_id` for those of one family.
    """

    content_fields: ClassVar = {
        "agent": "agent",
        "query": "query",
        "families": "families",
        "family_id": "family_id",
        "before": "before",
        "limit": "limit",
    }

    event: Literal["user.list_sessions"] = "user.list_sessions"
    agent: StrictStr | None = None
    query: Annotated[StrictStr, Field(max_length=1_000)] | None = None
    families: StrictBool = False
    family_id: StrictStr | None = None
    before: StrictStr | None = None
    limit: Annotated[int, Field(strict=True, ge=1, le=100)] = 20

    @model_validator(mode="before")
    @classmethod
    def _from_content(cls, data: Any) -> Any:
        return lift(data, *cls.content_fields)


class UserUpdateSession(SessionEvent):
    """Change a session's title or metadata."""

    content_fields: ClassVar = {"title": "title", "metadata": "session_metadata"}

    event: Literal["user.update_session"] = "user.update_session"
    title: SessionTitle | None = None
    session_metadata: SessionMetadata | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_content(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        content = data.get("content")
        if not isinstance(content, dict) or not cls.content_fields.keys() & content.keys():
            raise PydanticCustomError("missing", _("title or metadata is needed"))
        kept = {key: data[key] for key in ("event", "session_id", "metadata") if key in data}
        return {**kept, **{field: content.get(key) for key, field in cls.content_fields.items()}}


class UserDeleteSession(SessionEvent):
    """Delete a conversation and all that is stored of it."""

    event: Literal["user.delete_session"] = "user.delete_session"


class _PlanEvent(ClientEvent):
    """Base of what only agents that plan can do."""

    session_id: StrictStr | None = None


class UserSolveTasks(_PlanEvent):
    """Solve these tasks without planning."""

    event: Literal["user.solve_tasks"] = "user.solve_tasks"


class UserCancelTask(_PlanEvent):
    """Stop one task of a plan."""

    event: Literal["user.cancel_task"] = "user.cancel_task"


class UserRestartTask(_PlanEvent):
    """Do one task of a plan again."""

    event: Literal["user.restart_task"] = "user.restart_task"


class UserCancelPlan(_PlanEvent):
    """Stop a plan."""

    event: Literal["user.cancel_plan"] = "user.cancel_plan"


class UserReplan(_PlanEvent):
    """Plan anew."""

    event: Literal["user.replan"] = "user.replan"


AnyClientEvent = Annotated[
    UserCreateSession
    | UserMessage
    | UserResponse
    | UserCancel
    | UserWithdraw
    | UserFork
    | UserFeedback
    | UserReconnect
    | UserReconnectWithState
    | UserRequestState
    | UserAck
    | UserCloseSession
    | UserListSessions
    | UserUpdateSession
    | UserDeleteSession
    | UserSolveTasks
    | UserCancelTask
    | UserRestartTask
    | UserCancelPlan
    | UserReplan,
    Field(discriminator="event"),
]
