"""What a client of AG-UI 1.0 posts (`RunAgentInput`), as far as it counts here.

Of the history only the newest message of the user does: what else was said is in the log, and a client could claim
anything. Its tools, state, context and system messages change nothing and reach no model.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

from myagent.i18n import gettext as _
from myagent.protocol.client_events import UserResponse
from myagent.protocol.client_fields import MAX_MESSAGE_ID
from myagent.protocol.codec import parse_event
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.message_events import UserMessage
from sessions_app.services.refusals import blank_message
from sessions_app.web.api_call import Body

MAX_ID = 200
Id = Annotated[StrictStr, Field(min_length=1, max_length=MAX_ID)]


def _or_nothing(value: Any) -> Any:
    return [] if value is None else value


class ResumeEntry(BaseModel):
    """An entry of `resume`: what a client says to an open question."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    interrupt_id: Id = Field(validation_alias="interruptId")
    status: Literal["resolved", "cancelled"]
    payload: Any = None


class RunInput(BaseModel):
    """The body of a POST. `messages` and `resume` are read by what follows, entry by entry."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    thread_id: Id = Field(validation_alias="threadId")
    run_id: Id = Field(validation_alias="runId")
    messages: list[dict[str, Any]] = Field(description="of which the newest of the user counts")
    resume: Annotated[list[ResumeEntry], BeforeValidator(_or_nothing)] = Field([], description="answers to questions")


class StopInput(BaseModel):
    """The body of a request to stop."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    thread_id: Id = Field(validation_alias="threadId")


def message_of(asked: RunInput, session_id: str) -> UserMessage:
    """The newest message of the user, as a request of the session. Raises `ProtocolError`."""
    said = next((one for one in reversed(asked.messages) if one.get("role") == "user"), None)
    if said is None:
        raise blank_message()
    name, content = said.get("id"), said.get("content")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_MESSAGE_ID:
        words = _("The id of a message is text of 1 to %(limit)d characters.") % {"limit": MAX_MESSAGE_ID}
        raise ProtocolError(ErrorCode.BAD_FIELD, words)
    parts = [_part(part) for part in content] if isinstance(content, list) else content
    frame: Body = {"session_id": session_id, "content": parts, "metadata": {"message_id": name}}
    event = cast(UserMessage, parse_event({**frame, "event": "user.message"}))
    if event.is_blank:
        raise blank_message()
    return event


def _part(part: Any) -> Any:
    """A part of a message as our own; one that is none is refused as such a part of ours would be."""
    match part:
        case {"type": "image", "source": {"type": "data", "value": str(data), "mimeType": str(kind)}}:
            return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
        case {"type": "image", "source": {"type": "url", "value": str(url)}}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "document" | "image", "source": {"type": "file", "value": str(file_id)}}:
            return {"type": "file", "file": {"file_id": file_id}}
        case {"type": "image" | "audio" | "video" | "document", "source": {}}:
            words = _("Only pictures can be inside a message. Upload other files first, and name them by their ids.")
            raise ProtocolError(ErrorCode.UNSUPPORTED_TYPE, words)
    return part


def response_of(answer: ResumeEntry, session_id: str) -> UserResponse:
    """An answer, as a request of the session. Raises `ProtocolError`."""
    content = _content(answer)
    frame = {"event": "user.response", "session_id": session_id, "step_id": answer.interrupt_id, "content": content}
    return cast(UserResponse, parse_event(frame))


def _content(answer: ResumeEntry) -> Any:
    if answer.status == "cancelled":
        return False
    match answer.payload:
        case {"approved": approved, **rest}:
            args = {"args": rest["editedArgs"]} if rest.get("editedArgs") is not None else {}
            reason = {"reason": rest["reason"]} if rest.get("reason") is not None else {}
            return {"confirmed": approved, **args, **reason}
    return answer.payload
