"""Frames to events and back. The only place where the wire's JSON is read or written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar, get_args

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from myagent.i18n import gettext as _
from myagent.i18n import gettext_noop
from myagent.protocol.client_events import AnyClientEvent
from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.cursor import event_id
from myagent.protocol.direct_events import RefusalMetadata, RequestError, SystemError
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.frame_weight import TooManyValues, check_weight
from myagent.protocol.server_base import ServerEvent
from myagent.text import clean_value

CLIENT_EVENT_CLASSES: tuple[type[ClientEvent], ...] = get_args(get_args(AnyClientEvent)[0])
_CLIENT_EVENTS: dict[str, TypeAdapter[Any]] = {
    kind.model_fields["event"].default: TypeAdapter(kind) for kind in CLIENT_EVENT_CLASSES
}
CLIENT_EVENT_NAMES = frozenset(_CLIENT_EVENTS)
_PROBLEMS = {
    "string_type": gettext_noop("it should be text"),
    "dict_type": gettext_noop("it should be an object"),
    "list_type": gettext_noop("it should be a list"),
    "int_type": gettext_noop("it should be a whole number"),
    "bool_type": gettext_noop("it should be true or false"),
    "string_too_long": gettext_noop("it should have at most %(max_length)s characters"),
    "greater_than_equal": gettext_noop("it should be at least %(ge)s"),
    "less_than_equal": gettext_noop("it should be at most %(le)s"),
}
"""What pydantic finds, by its names; whatever else it may find it tells in English."""


Body = TypeVar("Body", bound=BaseModel)
_NAME_AT = len('{"event":"')


def parse_frame(frame: str | bytes) -> ClientEvent:
    """The event in `frame`, with nothing in it that a database refuses to store.

    Raises `ProtocolError` with a code of its own for everything that is no event.
    """
    if isinstance(frame, bytes):
        raise _refusal(ErrorCode.BAD_FRAME, _("Binary frames are not understood. Send JSON objects as text frames."))
    try:
        check_weight(frame)
        data = orjson.loads(frame)
    except TooManyValues as error:
        raise _refusal(ErrorCode.TOO_MANY_VALUES, str(error)) from error
    except ValueError as error:
        message = _("This frame is not JSON: %(error)s. Send one JSON object per text frame.") % {"error": error}
        raise _refusal(ErrorCode.BAD_JSON, message) from error
    if not isinstance(data, dict):
        raise _refusal(ErrorCode.BAD_FRAME, _("This frame is JSON, but not an object. Send one object per frame."))
    # Raw control characters and surrogates are no JSON, so only an escape can bring one in.
    return parse_event(_storable(data) if "\\u" in frame else data)


def parse_body(body: bytes) -> dict[str, Any]:
    """The object in the body of an HTTP request, with nothing in it that a database refuses to store; of none, nothing.

    Raises `ProtocolError`, as `parse_frame` does.
    """
    if not body:
        return {}
    try:
        text = body.decode()
        check_weight(text)
        data = orjson.loads(text)
    except TooManyValues as error:
        raise _refusal(ErrorCode.TOO_MANY_VALUES, str(error)) from error
    except ValueError as error:
        raise _refusal(ErrorCode.BAD_JSON, _("The body is not JSON: %(error)s.") % {"error": error}) from error
    if not isinstance(data, dict):
        raise _refusal(ErrorCode.BAD_FRAME, _("The body is JSON, but not an object."))
    return clean_value(data) if "\\u" in text else data


def _storable(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with every text in it cleaned, except the request id, which a client compares with what it sent.

    The request id is stored only inside encoded frames, where it is escaped.
    """
    cleaned: dict[str, Any] = clean_value(data)
    request_id = _request_id(data)
    return cleaned if request_id is None else {**cleaned, "metadata": {**cleaned["metadata"], "request_id": request_id}}


def _request_id(data: dict[str, Any]) -> str | None:
    metadata = data.get("metadata")
    request_id = metadata.get("request_id") if isinstance(metadata, dict) else None
    return request_id if isinstance(request_id, str) else None


def parse_event(data: dict[str, Any]) -> ClientEvent:
    """The event that an object is, every text in which can be stored. Raises `ProtocolError`, as `parse_frame` does."""
    request_id, name = _request_id(data), data.get("event")
    if name is None:
        raise _refusal(ErrorCode.MISSING_FIELD, _("The field 'event' is missing."), request_id=request_id)
    adapter = _CLIENT_EVENTS.get(name) if isinstance(name, str) else None
    if adapter is None:
        message = _("%(event)r is no event of this protocol. Known are: %(known)s.") % {
            "event": name if isinstance(name, str) else type(name).__name__,
            "known": ", ".join(sorted(_CLIENT_EVENTS)),
        }
        raise _refusal(ErrorCode.UNKNOWN_EVENT, message[:2000], request_id=request_id)
    try:
        event: ClientEvent = adapter.validate_python(data)
    except ValidationError as error:
        code, message = _explain(error)
        raise _refusal(code, message, request=name, request_id=request_id) from error
    return event


def parse_as(kind: type[Body], data: dict[str, Any]) -> Body:
    """The request of another protocol that an object is. Raises `ProtocolError`, as `parse_event` does."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        code, message = _explain(error)
        raise _refusal(code, message) from error


def _refusal(
    code: ErrorCode, message: str, *, request: str | None = None, request_id: str | None = None
) -> ProtocolError:
    return ProtocolError(code, message, event="system.error", request=request, request_id=request_id)


def _explain(error: ValidationError) -> tuple[ErrorCode, str]:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        words = _("The field %(field)r is missing.") if field else _("%(problem)s.")
        return ErrorCode.MISSING_FIELD, words % {"field": field, "problem": first["msg"]}
    return ErrorCode.BAD_FIELD, _("The field %(field)r is not as it should be: %(problem)s.") % {
        "field": field or "content",
        "problem": _problem(first),
    }


def _problem(error: ErrorDetails) -> str:
    words = _PROBLEMS.get(error["type"])
    return _(words) % error.get("ctx", {}) if words is not None else error["msg"]


def timestamp(moment: datetime | None = None) -> str:
    """`moment` (now by default) as the wire has it: UTC, milliseconds, `Z`."""
    moment = datetime.now(UTC) if moment is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def encode(
    event: ServerEvent,
    *,
    session_id: str | None = None,
    seq: int | None = None,
    at: str | None = None,
    request_id: str | None = None,
) -> str:
    """The frame of `event`; with `seq` it is a logged one. `at` is its `timestamp()`, now by default."""
    frame: dict[str, Any] = {"event": event.event, "timestamp": at or timestamp()}
    if session_id is not None:
        frame["session_id"] = session_id
    if event.step_id is not None:
        frame["step_id"] = event.step_id
    frame["content"] = event.content
    metadata = event.metadata.model_dump(exclude_none=True)
    if request_id is not None:
        metadata["request_id"] = request_id
    frame["metadata"] = metadata
    if seq is not None and session_id is not None:
        frame["seq"] = seq
        frame["event_id"] = event_id(session_id, seq)
    return orjson.dumps(frame).decode()


def is_logged(frame: str) -> bool:
    """Whether a frame that `encode` made has an `event_id`: then it ends with that, and else with the metadata."""
    return not frame.endswith("}}")


def event_id_of(frame: str) -> str:
    """The `event_id` of a logged frame that `encode` made."""
    return frame[frame.rindex(":") + 2 : -2]


def name_of(frame: str) -> str:
    """The event of a frame that `encode` made, which begins with it."""
    return frame[_NAME_AT : frame.index('"', _NAME_AT)]


def refusal_event(error: ProtocolError) -> ServerEvent:
    """The server event that tells a client of `error`."""
    metadata = RefusalMetadata(code=error.code, request=error.request, **error.data)
    kind = SystemError if error.event == "system.error" else RequestError
    return kind(content=str(error), metadata=metadata)
