"""The questions of runs as forms that clients of MCP show to a person, and what the person did with them. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError

Frame = dict[str, Any]
LONGEST_REASON = 2_000


def words_of(frame: Frame) -> str:
    """A question, with what the tool would be given."""
    args = frame["metadata"].get("tool_args")
    if not args:
        return str(frame["content"])
    return f"{frame['content']}\n\n{orjson.dumps(args, option=orjson.OPT_INDENT_2).decode()}"


def form() -> dict[str, Any]:
    """What a person fills in. Forms have plain fields only: arguments are changed on the chat page."""
    return {
        "type": "object",
        "properties": {
            "approved": {"type": "boolean", "title": _("Allow it")},
            # With a default, since some clients send a value for every field, null where there is none.
            "reason": {"type": "string", "title": _("Reason"), "maxLength": LONGEST_REASON, "default": ""},
        },
        "required": ["approved"],
    }


def input_request(frame: Frame) -> dict[str, Any]:
    """A question as a request that is returned to the client."""
    params = {"mode": "form", "message": words_of(frame), "requestedSchema": form()}
    return {"method": "elicitation/create", "params": params}


def answer_of(told: Any) -> dict[str, Any]:
    """The content of a `user.response`. To close the form is a no. Raises `ProtocolError`."""
    match told:
        case {"action": "decline" | "cancel"}:
            return {"confirmed": False}
        case {"action": "accept", "content": {"approved": bool(approved)} as content}:
            reason = content.get("reason")
            return {"confirmed": approved} | ({"reason": reason} if isinstance(reason, str) and reason.strip() else {})
    words = _("An answer is the action accept with a content where approved is true or false, or the action decline.")
    raise ProtocolError(ErrorCode.BAD_FIELD, words)
