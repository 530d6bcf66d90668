"""What a request for a chat completion says. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from myagent.i18n import gettext as _
from myagent.messages import Message
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app.web.openai_door.asked_message import (
    MAX_HISTORY,
    AskedMessage,
    Body,
    bad_field,
    check_not_asked,
    earlier_message,
    field,
    optional,
    session_in,
    up_to_newest,
)

REFUSED: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "functions": ([],),
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": (["text"], []),
    "audio": (),
}
"""What a client would have to be answered otherwise, with the values that ask for nothing. All else that is not read
here, as `temperature` and `max_tokens`, is the agent's own matter and ignored: many clients always send it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest(AskedMessage):
    """A request for a chat completion."""

    stream: bool
    include_usage: bool
    as_value: bool
    """Whether the answer has to be a value of a schema."""

    @classmethod
    def read(cls, body: Body) -> CompletionRequest:
        """The request that a body is. Raises `ProtocolError`."""
        check_not_asked(body, REFUSED)
        model = field(body, "model", str, _("the name of an agent"))
        messages = up_to_newest(field(body, "messages", list, _("a list of messages")))
        newest = messages[-1] if messages else None
        if not isinstance(newest, dict) or newest.get("role") != "user":
            raise bad_field("messages", _("the last of them is one of the user"))
        if len(messages) > MAX_HISTORY:
            raise bad_field("messages", _("at most %(limit)d") % {"limit": MAX_HISTORY})
        schema = _schema(body.get("response_format"))
        content = newest.get("content")
        options = optional(body, "stream_options", dict, {})
        return cls(
            model=model,
            content=content if schema is None else {"content": content, "output_schema": schema},
            history=tuple(message for told in messages[:-1] if (message := _earlier(told)) is not None),
            stream=optional(body, "stream", bool, False),
            include_usage=options.get("include_usage") is True,
            session_id=session_in(optional(body, "metadata", dict, {})),
            as_value=schema is not None,
        )


def _schema(given: Any) -> Any:
    """The JSON schema that the answer has to fit, None for text."""
    match given:
        case None | {"type": "text"}:
            return None
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return schema
    words = _("response_format can be {type: text} or {type: json_schema, json_schema: {schema}} here.")
    raise ProtocolError(ErrorCode.NOT_SUPPORTED, words)


def _earlier(told: Any) -> Message | None:
    if not isinstance(told, dict) or not isinstance(told.get("role"), str):
        raise bad_field("messages", _("each is an object with a role and a content"))
    return earlier_message(told["role"], told.get("content"), "messages")
