"""What a request for a chat completion says: the message, and what came before it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from myagent.i18n import gettext as _
from myagent.messages import Message
from myagent.protocol.client_fields import is_blank, message_content
from myagent.protocol.error_codes import ErrorCode, ProtocolError

Body = dict[str, Any]
MAX_HISTORY = 2_000
"""Messages before the newest one; more than any model's window holds."""
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
class CompletionRequest:
    """A request for a chat completion."""

    model: str
    content: Any
    """That of the newest message, as `UserMessage` takes it."""
    history: tuple[Message, ...]
    """What the client says was said before. It counts where the server knows nothing of the conversation, only."""
    stream: bool
    include_usage: bool
    session_id: str | None
    as_value: bool
    """Whether the answer has to be a value of a schema."""

    @classmethod
    def read(cls, body: Body) -> CompletionRequest:
        """The request that a body is. Raises `ProtocolError`."""
        for name, harmless in REFUSED.items():
            if body.get(name) is not None and body[name] not in harmless:
                words = _("%(name)s is not supported here: agents use the tools that they have, and answer once.")
                raise ProtocolError(ErrorCode.NOT_SUPPORTED, words % {"name": name})
        model = _field(body, "model", str, _("the name of an agent"))
        messages = _field(body, "messages", list, _("a list of messages"))
        newest = messages[-1] if messages else None
        if not isinstance(newest, dict) or newest.get("role") != "user":
            raise _bad("messages", _("the last of them is one of the user"))
        if len(messages) > MAX_HISTORY:
            raise _bad("messages", _("at most %(limit)d") % {"limit": MAX_HISTORY})
        schema = _schema(body.get("response_format"))
        content = newest.get("content")
        options = _optional(body, "stream_options", dict, {})
        return cls(
            model=model,
            content=content if schema is None else {"content": content, "output_schema": schema},
            history=tuple(message for told in messages[:-1] if (message := _earlier(told)) is not None),
            stream=_optional(body, "stream", bool, False),
            include_usage=options.get("include_usage") is True,
            session_id=_session_id(_optional(body, "metadata", dict, {})),
            as_value=schema is not None,
        )


def _bad(name: str, words: str) -> ProtocolError:
    told = _("The field %(field)r is not as it should be: %(problem)s.")
    return ProtocolError(ErrorCode.BAD_FIELD, told % {"field": name, "problem": words})


def _field(body: Body, name: str, kind: type, words: str) -> Any:
    value = body.get(name)
    if value is None:
        raise ProtocolError(ErrorCode.MISSING_FIELD, _("The field %(field)r is missing.") % {"field": name})
    if not isinstance(value, kind):
        raise _bad(name, words)
    return value


def _optional(body: Body, name: str, kind: type, default: Any) -> Any:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise _bad(name, kind.__name__)
    return value


def _session_id(metadata: Body) -> str | None:
    value = metadata.get("session_id")
    if value is not None and not isinstance(value, str):
        raise _bad("metadata.session_id", "str")
    return value or None


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
    """An earlier message, None for one that is not kept: instructions are the agent's author's to give, and the calls
    of tools that others ran are nothing to go on with.
    """
    if not isinstance(told, dict) or not isinstance(told.get("role"), str):
        raise _bad("messages", _("each is an object with a role and a content"))
    if told["role"] not in ("user", "assistant") or told.get("content") in (None, "", []):
        return None
    try:
        content = message_content(told["content"])
    except PydanticCustomError as error:
        raise _bad("messages", error.message()) from error
    if is_blank(content):
        return None
    if told["role"] == "user":
        return Message.user(content)
    words = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return Message(role="assistant", content=words)
