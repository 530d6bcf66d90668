"""What the events of a client have in common: their base classes and how leniently fields are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from myagent.i18n import gettext as _
from myagent.protocol.cursor import split_event_id

MAX_SEQ = 2**63 - 1
MAX_METADATA_KIB = 64
"""KiB of the metadata of a session, as JSON."""
MAX_PARTS = 1_000
"""Content parts of one message."""
MAX_MESSAGE_ID = 200
"""Characters of the id that a client gives a message."""


def bad_field(message: str) -> PydanticCustomError:
    return PydanticCustomError("bad_field", "{message}", {"message": message})


def sequence_number(value: Any) -> int:
    # JavaScript clients may send 3.0; JSON has one kind of number.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEQ:
        raise bad_field(_("a sequence number is a whole number from 0"))
    return value


Seq = Annotated[int, BeforeValidator(sequence_number)]


def _metadata_of_a_session(value: dict[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(value)) > MAX_METADATA_KIB * 1024:
        raise bad_field(_("the metadata of a session has at most %(limit)d KiB as JSON") % {"limit": MAX_METADATA_KIB})
    return value


SessionMetadata = Annotated[dict[str, Any], AfterValidator(_metadata_of_a_session)]
SessionTitle = Annotated[StrictStr, Field(max_length=200)]


class ClientEvent(BaseModel):
    """Base of all events of a client. `metadata.request_id`, a string, comes back in direct replies."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    content_fields: ClassVar[Mapping[str, str]] = {}
    """The fields that a frame has in an object as its `content`, by their keys there. All others are at top level."""
    content_may_have: ClassVar[tuple[str, ...]] = ()
    """Fields that are read at top level, or else in an object as `content`."""
    is_answered: ClassVar[bool] = True
    """Whether a client is told that the request was refused."""

    event: str
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _null_metadata_is_none(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("metadata", {}) is None:
            return {key: value for key, value in data.items() if key != "metadata"}
        return data

    @property
    def request_id(self) -> str | None:
        value = self.metadata.get("request_id")
        return value if isinstance(value, str) else None


class SessionEvent(ClientEvent):
    """Base of the events that name a session."""

    session_id: StrictStr


def lift(data: Any, *names: str) -> Any:
    """`data` with those of `names` that only `content` holds put at top level, where the fields are."""
    content = data.get("content") if isinstance(data, dict) else None
    if not isinstance(content, dict):
        return data
    return {**{name: content[name] for name in names if content.get(name) is not None}, **without_nulls(data, names)}


def without_nulls(data: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if not (key in names and value is None)}


class CursorEvent(ClientEvent):
    """Fields of a cursor: `last_event_id` or `last_seq`; `after` is what they come to, 0 without any."""

    content_may_have: ClassVar = ("session_id", "signed_state", "last_event_id", "last_seq")

    last_event_id: StrictStr | None = None
    last_seq: Seq | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_content(cls, data: Any) -> Any:
        return lift(data, *cls.content_may_have)

    @property
    def cursor_session(self) -> str | None:
        """The session that the event id names, if there is one."""
        return split_event_id(self.last_event_id)[0] if self.last_event_id else None

    @property
    def after(self) -> int:
        if self.last_event_id:
            return split_event_id(self.last_event_id)[1]
        return self.last_seq or 0

    @model_validator(mode="after")
    def _event_id_is_one(self) -> Self:
        if self.last_event_id:
            try:
                named, _seq = split_event_id(self.last_event_id)
            except ValueError as error:
                raise bad_field(str(error)) from error
            session_id = getattr(self, "session_id", None)
            if session_id is not None and named != session_id:
                raise bad_field(
                    _("last_event_id belongs to another session than %(session)r") % {"session": session_id}
                )
        return self


def given_message_id(metadata: Mapping[str, Any]) -> str | None:
    """The id that a client gave its message, if it gave one."""
    value = metadata.get("message_id")
    return value if isinstance(value, str) and value else None


def check_message_id(metadata: Mapping[str, Any]) -> None:
    value = metadata.get("message_id")
    if value is not None and (not isinstance(value, str) or len(value) > MAX_MESSAGE_ID):
        raise bad_field(_("metadata.message_id is text of at most %(limit)d characters") % {"limit": MAX_MESSAGE_ID})


def is_blank(content: str | list[dict[str, Any]]) -> bool:
    """Whether a message says nothing."""
    if isinstance(content, str):
        return not content.strip()
    return not any(part["type"] != "text" or part["text"].strip() for part in content)


MessageContent = str | Annotated[list[dict[str, Any]], Field(max_length=MAX_PARTS)]
"""Text or content parts; `message_content` makes it of what a client says."""


def message_content(content: Any) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        if len(content) > MAX_PARTS:
            raise bad_field(_("content has at most %(limit)d parts") % {"limit": MAX_PARTS})
        return [_content_part(part) for part in content]
    if isinstance(content, dict):
        for key in ("text", "question", "content"):
            if isinstance(content.get(key), str):
                return str(content[key])
        if isinstance(content.get("content"), list):
            return message_content(content["content"])
    raise bad_field(_("content should be text, a list of content parts, or an object with text, question or content"))


def _content_part(part: Any) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image_url", "image_url": {"url": str()} as image}:
            return {"type": "image_url", "image_url": dict(image)}
        case {"type": "image_url", "image_url": str(url)}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "file", "file": {"file_id": str(file_id)}}:
            return {"type": "file", "file": {"file_id": file_id}}
    raise bad_field(
        _("a content part is {type: text, text}, {type: image_url, image_url: {url}} or {type: file, file: {file_id}}")
    )
