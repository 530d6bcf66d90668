"""The `input` of a request for a response: a message with what was said before it, or answers to questions. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from myagent.i18n import gettext as _
from myagent.messages import Message
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app.web.openai_door.asked_message import MAX_HISTORY, bad_field, earlier_message, up_to_newest
from sessions_app.web.openai_door.responses.response_ids import question_id, step_of

Item = dict[str, Any]
TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
"""The parts that are words, and where each has them."""


@dataclass(frozen=True, slots=True)
class Approval:
    """An answer to a question."""

    step_id: str
    approve: Any
    reason: Any


@dataclass(frozen=True, slots=True)
class Input:
    """What is said: `content`, or `approvals`."""

    content: Any
    history: tuple[Message, ...] = ()
    approvals: tuple[Approval, ...] = ()
    names: tuple[str, ...] = ()
    """The ids of what comes before the newest message, or of what is answered."""


def read_input(given: Any) -> Input:
    """The input that a field of this name is. Raises `ProtocolError`."""
    if isinstance(given, str):
        return Input(given)
    _check_items(given, "input")
    given = up_to_newest(given)
    if not given:
        raise bad_field("input", _("text, or a list of items"))
    answers = list(takewhile(lambda item: item.get("type") == "mcp_approval_response", reversed(given)))
    if answers:
        approvals = tuple(map(_approval, reversed(answers)))
        return Input("", approvals=approvals, names=tuple(question_id(approval.step_id) for approval in approvals))
    newest = given[-1]
    if newest.get("type", "message") != "message" or newest.get("role") != "user":
        raise bad_field("input", _("the last item is a message of the user, or an mcp_approval_response"))
    names = tuple(name for item in given[:-1] if isinstance(name := item.get("id"), str))
    return Input(_content(newest.get("content")), read_history(given[:-1], "input"), names=names)


def read_history(given: list[Any], name: str) -> tuple[Message, ...]:
    """The messages among the items of a field. Raises `ProtocolError`."""
    _check_items(given, name)
    return tuple(message for item in given if (message := _earlier(item, name)) is not None)


def _check_items(given: list[Any], name: str) -> None:
    if len(given) > MAX_HISTORY:
        raise bad_field(name, _("at most %(limit)d") % {"limit": MAX_HISTORY})
    if not all(isinstance(item, dict) for item in given):
        raise bad_field(name, _("text, or a list of items"))


def _approval(item: Item) -> Approval:
    name = item.get("approval_request_id")
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise bad_field("input.approval_request_id", _("the id of a question"))
    return Approval(step_of(name), item.get("approve"), item.get("reason"))


def _earlier(item: Item, name: str) -> Message | None:
    """An earlier message; what else there was (calls, reasoning, references) is nothing to go on with."""
    if item.get("type", "message") != "message":
        return None
    role = item.get("role")
    if not isinstance(role, str):
        raise bad_field(name, _("a message has a role and a content"))
    return earlier_message(role, _content(item.get("content")), name)


def _content(given: Any) -> Any:
    return [_part(part) for part in given] if isinstance(given, list) else given


def _part(part: Any) -> Any:
    """A part of a message as our own; one that is none is refused as such a part of ours would be."""
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind in TEXTS:
        return {"type": "text", "text": part.get(TEXTS[kind])}
    match part:
        case {"type": "input_image", "image_url": str(url)}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "input_image" | "input_file", "file_id": str(file_id)}:
            return {"type": "file", "file": {"file_id": file_id}}
        case {"type": "input_file"}:
            words = _("Only pictures can be inside a message. Upload other files first, and name them by their ids.")
            raise ProtocolError(ErrorCode.UNSUPPORTED_TYPE, words)
    return part
