"""What `useChat` of the Vercel AI SDK posts, as far as it counts here.

Of the history only its last message does: a new one of the user, or the answers that one of the assistant holds. What
else it says was said is in the log, and a client could claim anything.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from myagent.i18n import gettext as _
from myagent.protocol.client_events import UserResponse
from myagent.protocol.client_fields import MAX_MESSAGE_ID
from myagent.protocol.codec import parse_event
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.message_events import UserMessage
from sessions_app.services.refusals import blank_message

_FILES = "/api/files/"


class ChatInput(BaseModel):
    """The body of a POST. `messages` are read by what follows."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[StrictStr, Field(min_length=1, max_length=200)]
    messages: list[dict[str, Any]] = Field(description="of which the last one counts")
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: StrictStr | None = Field(None, validation_alias="messageId")


def message_of(asked: ChatInput, *, when_busy: str | None) -> UserMessage | None:
    """The new message of the user; None where the last one is the assistant's. Raises `ProtocolError`."""
    said = asked.messages[-1] if asked.messages else {}
    is_edited = said.get("role") == "user" and asked.message_id is not None
    if asked.trigger != "submit-message" or is_edited:
        words = _("A conversation is not changed here: continue it in a new one (POST /api/sessions/<id>/fork).")
        raise ProtocolError(ErrorCode.NOT_SUPPORTED, words)
    if said.get("role") == "assistant":
        return None
    if said.get("role") != "user":
        raise blank_message()
    name, parts = said.get("id"), said.get("parts")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_MESSAGE_ID:
        words = _("The id of a message is text of 1 to %(limit)d characters.") % {"limit": MAX_MESSAGE_ID}
        raise ProtocolError(ErrorCode.BAD_FIELD, words)
    content = _content(parts) if isinstance(parts, list) else parts
    about = {"message_id": name} | ({} if when_busy is None else {"when_busy": when_busy})
    frame = {"event": "user.message", "session_id": "", "content": content, "metadata": about}
    event = cast(UserMessage, parse_event(frame))
    if event.is_blank:
        raise blank_message()
    return event


def _content(parts: list[Any]) -> Any:
    told = [_part(part) for part in parts]
    match told:
        case [{"type": "text", "text": text}]:
            return text
    return told


def _part(part: Any) -> Any:
    match part:
        case {"type": "text", "text": text}:
            return {"type": "text", "text": text}
        case {"type": "file", "url": str(url)} if url.startswith(_FILES):
            return {"type": "file", "file": {"file_id": url.removeprefix(_FILES).rstrip("/")}}
        case {"type": "file", "mediaType": str(kind), "url": str(url)} if kind.startswith("image/"):
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "file"}:
            words = _("Only pictures can be inside a message. Upload other files first, and name them by their ids.")
            raise ProtocolError(ErrorCode.UNSUPPORTED_TYPE, words)
    return part


def responses_of(asked: ChatInput, session_id: str) -> list[UserResponse]:
    """The answers to questions that the last message holds. Raises `ProtocolError`."""
    parts = asked.messages[-1].get("parts")
    answers = [part["approval"] for part in parts if _is_answered(part)] if isinstance(parts, list) else []
    return [_response(answer, session_id) for answer in answers]


def _is_answered(part: Any) -> bool:
    return (
        isinstance(part, dict) and part.get("state") == "approval-responded" and isinstance(part.get("approval"), dict)
    )


def _response(answer: dict[str, Any], session_id: str) -> UserResponse:
    reason = {"reason": answer["reason"]} if answer.get("reason") is not None else {}
    content = {"confirmed": answer.get("approved"), **reason}
    frame = {"event": "user.response", "session_id": session_id, "step_id": answer.get("id"), "content": content}
    return cast(UserResponse, parse_event(frame))
