"""The events of the protocol as types of TypeScript, written from the classes that the server itself uses."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, WrapValidator
from pydantic.fields import FieldInfo

from myagent.protocol import direct_events, server_events
from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.codec import CLIENT_EVENT_CLASSES
from myagent.protocol.error_codes import CloseCode, ErrorCode
from myagent.protocol.server_base import Metadata, Open, ServerEvent, event_classes, own_words

HEAD = """\
// Made by `manage.py protocol --typescript` from the classes of the server: to be made again, not to be edited.
// What is on the wire, and what it means, is in docs/protocol.md.

/** One of these words, or one that a later version of the server adds. */
export type Open<Words> = Words | (string & {});

/** Keys of the metadata of every event; what the server does not know is missing. */
export interface Metadata {
  /** On what answers a request of this connection. */
  request_id?: string;
}

/** What stands around every event of the server. */
export interface Envelope {
  timestamp: string;
  session_id?: string;
  step_id?: string;
}

/** What stands around an event that is stored: it belongs to a session, and can be had again. */
export interface Logged extends Envelope {
  session_id: string;
  seq: number;
  event_id: string;
}

/** What stands around an event for one connection alone. */
export interface Direct extends Envelope {
  seq?: undefined;
  event_id?: undefined;
}
"""

_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", Any: "unknown", NoneType: "null"}
_OPEN = get_args(Open)[1]


def typescript() -> str:
    """A module of TypeScript with a type for every event, error code and close code of this version."""
    logged, direct = event_classes(server_events).values(), event_classes(direct_events).values()
    parts = [HEAD, *map(_interface, _metadata_classes(*logged, *direct))]
    parts += [_server_event(kind, "Logged") for kind in logged]
    parts += [_server_event(kind, "Direct") for kind in direct]
    parts += [_client_event(kind) for kind in CLIENT_EVENT_CLASSES]
    parts += [
        _union("LoggedEvent", (kind.__name__ for kind in logged)),
        _union("DirectEvent", (kind.__name__ for kind in direct)),
        _union("ServerEvent", ["LoggedEvent", "DirectEvent"]),
        _union("ClientEvent", (kind.__name__ for kind in CLIENT_EVENT_CLASSES)),
        _union("ErrorCode", (json.dumps(code.value) for code in ErrorCode)),
        _close_codes(),
    ]
    return "\n".join(parts)


def _metadata_classes(*events: type[ServerEvent]) -> list[type[BaseModel]]:
    """The classes that the metadata of these events are, those before the ones that have them as fields."""
    found: list[type[BaseModel]] = []

    def look(kind: Any) -> None:
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            if kind not in found and kind is not Metadata:
                for field in kind.model_fields.values():
                    look(field.annotation)
                found.append(kind)
        else:
            for part in get_args(kind):
                look(part)

    for event in events:
        look(event.model_fields["metadata"].annotation)
    return found


def _interface(kind: type[BaseModel]) -> str:
    lines = [*_comment(kind), f"export interface {kind.__name__} extends Metadata {{"]
    lines += [_member(name, field) for name, field in kind.model_fields.items()]
    if kind.model_config.get("extra") == "allow":
        lines.append("  [more: string]: unknown;")
    return "\n".join([*lines, "}", ""])


def _server_event(kind: type[ServerEvent], envelope: str) -> str:
    content, metadata = kind.model_fields["content"], kind.model_fields["metadata"]
    lines = [*_comment(kind), f"export interface {kind.__name__} extends {envelope} {{"]
    lines += [f"  event: {_type(kind.model_fields['event'])};", f"  content: {_type(content)};"]
    return "\n".join([*lines, f"  metadata: {_type(metadata)};", "}", ""])


def _client_event(kind: type[ClientEvent]) -> str:
    """The frame of an event: fields that `content` holds are in an object there, one called `content` also without."""
    inside = {field: key for key, field in kind.content_fields.items()}
    fields = {name: field for name, field in kind.model_fields.items() if name != "metadata"}
    lines = [*_comment(kind), f"export interface {kind.__name__} {{", f"  event: {_type(fields.pop('event'))};"]
    lines += [_member(name, field) for name, field in fields.items() if name not in inside]
    if inside:
        needs_content = any(fields[field].is_required() for field in inside)
        alone = f"{_type(fields['content'])} | " if "content" in inside.values() else ""
        lines.append(f"  content{'' if needs_content else '?'}: {alone}{{")
        lines += [f"  {_member(key, fields[field], sent=True)}" for field, key in inside.items()]
        lines.append("  };")
    return "\n".join([*lines, "  metadata?: Metadata & Record<string, unknown>;", "}", ""])


def _member(name: str, field: FieldInfo, *, sent: bool = False) -> str:
    """A key. The server leaves out what is None, and sends all else; a client may leave out what has a default."""
    may_lack = not field.is_required() and (sent or field.default is None)
    return f"  {name}{'?' if may_lack else ''}: {_type(field)};"


def _type(field: FieldInfo) -> str:
    written = _written(field.annotation)
    if field.is_required() and NoneType in get_args(field.annotation):
        written += " | null"  # and not missing
    if any(isinstance(part, WrapValidator) and part.func is _OPEN.func for part in field.metadata):
        return "boolean" if written == "true" else f"Open<{written}>"
    return written


def _written(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Literal:
        return " | ".join(json.dumps(word) for word in arguments)
    if origin in (Union, UnionType):
        return " | ".join(_written(part) for part in arguments if part is not NoneType)
    if origin is list:
        return f"Array<{_written(arguments[0])}>"
    if origin is dict:
        return f"Record<{', '.join(map(_written, arguments))}>"
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _written(arguments[0])
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation.__name__
    raise TypeError(f"No type of TypeScript is known for {annotation!r}.")


def _comment(kind: type[BaseModel]) -> Iterator[str]:
    """The docstring, if the class has one of its own."""
    if words := own_words(kind):
        yield f"/** {words} */"


def _union(name: str, members: Any) -> str:
    return "\n".join([f"export type {name} =", *(f"  | {member}" for member in members)]) + ";\n"


def _close_codes() -> str:
    codes = {name: code for name, code in vars(CloseCode).items() if name.isupper()}
    lines = ["/** Why the server ends a connection. */", "export const CloseCode = {"]
    return "\n".join([*lines, *(f"  {name}: {code}," for name, code in codes.items()), "} as const;", ""])
