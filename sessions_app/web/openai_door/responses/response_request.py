"""What a request for a response says. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app.web.openai_door.asked_message import (
    AskedMessage,
    Body,
    bad_field,
    check_not_asked,
    field,
    optional,
    session_in,
)
from sessions_app.web.openai_door.responses.input_items import Approval, read_input
from sessions_app.web.openai_door.responses.output_items import SERVER
from sessions_app.web.openai_door.responses.response_ids import ResponseId

REFUSED: dict[str, tuple[Any, ...]] = {"tools": ([],), "prompt": (), "top_logprobs": (0,)}
"""What a client would have to be answered otherwise, with the values that ask for nothing. All else that is not read
here, as `instructions` and `temperature`, is the agent's own matter and ignored: many clients always send it.
"""
OWN_TOOLS = {"type": "mcp", "server_label": SERVER}
"""How a client names the tools that the agent has anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRequest(AskedMessage):
    """A request for a response."""

    approvals: tuple[Approval, ...]
    """Answers, in place of a message."""
    stream: bool
    background: bool
    previous: ResponseId | None
    names: tuple[str, ...]
    """The ids of the items that come before what is said."""

    @classmethod
    def read(cls, body: Body) -> ResponseRequest:
        """The request that a body is. Raises `ProtocolError`."""
        check_not_asked({**body, "tools": _foreign_tools(body.get("tools"))}, REFUSED)
        said = read_input(field(body, "input", (str, list), _("text, or a list of items")))
        schema = _schema(optional(body, "text", dict, {}).get("format"))
        previous = optional(body, "previous_response_id", str, None)
        conversation = _conversation(body.get("conversation"))
        if previous is not None and conversation is not None:
            words = _("previous_response_id and conversation cannot be used together.")
            raise ProtocolError(ErrorCode.BAD_FIELD, words)
        named = session_in(optional(body, "metadata", dict, {}))
        if None not in (named, conversation) and named != conversation:
            raise ProtocolError(ErrorCode.BAD_FIELD, _("The request names two different sessions."))
        return cls(
            model=field(body, "model", str, _("the name of an agent")),
            content=said.content if schema is None else {"content": said.content, "output_schema": schema},
            history=said.history,
            session_id=conversation or named,
            approvals=said.approvals,
            names=said.names,
            stream=optional(body, "stream", bool, False),
            background=optional(body, "background", bool, False),
            previous=ResponseId.parse(previous) if previous is not None else None,
        )


def _foreign_tools(given: Any) -> Any:
    """The tools without those that are the agent's own: some clients have to name whose questions they answer."""
    if not isinstance(given, list):
        return given
    return [tool for tool in given if not (isinstance(tool, dict) and OWN_TOOLS.items() <= tool.items())]


def _conversation(given: Any) -> str | None:
    match given:
        case None:
            return None
        case str(name) | {"id": str(name)} if name:
            return name
    raise bad_field("conversation", _("an id, or an object with one"))


def _schema(given: Any) -> Any:
    """The JSON schema that the answer has to fit, None for text."""
    match given:
        case None | {"type": "text"}:
            return None
        case {"type": "json_schema", "schema": dict(schema)}:
            return schema
    words = _("text.format can be {type: text} or {type: json_schema, schema} here.")
    raise ProtocolError(ErrorCode.NOT_SUPPORTED, words)
