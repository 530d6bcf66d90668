"""What every request to an agent says by this API: the newest message, and what came before it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
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
INSTRUCTIONS = ("system", "developer")
"""Whose messages are instructions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedMessage:
    """A message to an agent."""

    model: str
    content: Any
    """As `UserMessage` takes it."""
    history: tuple[Message, ...]
    """What the client says was said before. It counts where the server knows nothing of the conversation, only."""
    session_id: str | None
    """That which the request names in its body."""


def bad_field(name: str, words: str) -> ProtocolError:
    """The refusal of a field."""
    told = _("The field %(field)r is not as it should be: %(problem)s.")
    return ProtocolError(ErrorCode.BAD_FIELD, told % {"field": name, "problem": words})


def field(body: Body, name: str, kinds: type | tuple[type, ...], words: str) -> Any:
    """A field that has to be there. Raises `ProtocolError`."""
    value = body.get(name)
    if value is None:
        raise ProtocolError(ErrorCode.MISSING_FIELD, _("The field %(field)r is missing.") % {"field": name})
    if not isinstance(value, kinds):
        raise bad_field(name, words)
    return value


def optional(body: Body, name: str, kind: type, default: Any) -> Any:
    """A field that may be there. Raises `ProtocolError`."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise bad_field(name, kind.__name__)
    return value


def check_not_asked(body: Body, refused: Mapping[str, tuple[Any, ...]]) -> None:
    """Raise `ProtocolError` where a field asks for what there is not; each is given with the values that do not ask."""
    for name, harmless in refused.items():
        if body.get(name) is not None and body[name] not in harmless:
            words = _("%(name)s is not supported here: agents use the tools that they have, and answer once.")
            raise ProtocolError(ErrorCode.NOT_SUPPORTED, words % {"name": name})


def session_in(metadata: Body) -> str | None:
    """The session that the metadata of a request name. Raises `ProtocolError`."""
    value = metadata.get("session_id")
    if value is not None and not isinstance(value, str):
        raise bad_field("metadata.session_id", "str")
    return value or None


def up_to_newest(told: list[Any]) -> list[Any]:
    """What was said, without the instructions behind it: an agent has its author's, wherever a client puts others."""
    end = len(told)
    while end and isinstance(told[end - 1], dict) and told[end - 1].get("role") in INSTRUCTIONS:
        end -= 1
    return told[:end]


def earlier_message(role: str, given: Any, name: str) -> Message | None:
    """An earlier message, None for one that is not kept: instructions are the agent's author's to give, and the calls
    of tools that others ran are nothing to go on with. Raises `ProtocolError`.
    """
    if role not in ("user", "assistant") or given in (None, "", []):
        return None
    try:
        content = message_content(given)
    except PydanticCustomError as error:
        raise bad_field(name, error.message()) from error
    if is_blank(content):
        return None
    if role == "user":
        return Message.user(content)
    words = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return Message(role="assistant", content=words)
