"""Events of the server as classes, read leniently: a client must bear servers that are newer than it is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from types import ModuleType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from myagent.protocol import direct_events, server_events
from myagent.protocol.direct_events import FreeMetadata
from myagent.protocol.server_base import ServerEvent

Model = TypeVar("Model", bound=BaseModel)


class UnknownEvent(ServerEvent):
    """An event that this version does not know, or cannot read; its metadata can be read as attributes."""

    metadata: FreeMetadata = FreeMetadata()


def typed(name: str, step_id: str | None, content: Any, metadata: Mapping[str, Any], *, is_logged: bool) -> ServerEvent:
    """The event with that name as its class, `UnknownEvent` when there is none or it does not fit."""
    kind = (_LOGGED if is_logged else _DIRECT).get(name)
    # `request_id` comes back on whatever answers a request; it is no field of the event.
    known = dict(metadata) if is_logged else {key: value for key, value in metadata.items() if key != "request_id"}
    body = {"event": name, "step_id": step_id, "content": content, "metadata": known}
    if kind is not None:
        try:
            event: ServerEvent = _lenient(kind).model_validate(body)
        except ValidationError:
            pass  # a later version needs other fields than this one
        else:
            return event
    return UnknownEvent(event=name, step_id=step_id, content=content, metadata=FreeMetadata(**known))


def _kinds(module: ModuleType) -> dict[str, type[ServerEvent]]:
    return {
        kind.model_fields["event"].default: kind
        for _name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, ServerEvent) and kind is not ServerEvent
    }


_LOGGED = _kinds(server_events)
_DIRECT = _kinds(direct_events)


@cache
def _lenient(kind: type[Model]) -> type[Model]:
    """A subclass of `kind` that passes over unknown keys and takes any word where `kind` knows some."""
    fields: dict[str, Any] = {
        name: (_relaxed(field.annotation), field) for name, field in kind.model_fields.items() if name != "event"
    }
    lenient: type[Model] = create_model(kind.__name__, __base__=_tolerant(kind), **fields)
    return lenient


def _tolerant(kind: type[Model]) -> type[Model]:
    if kind.model_config.get("extra") == "allow":
        return kind
    return type(kind.__name__, (kind,), {"model_config": ConfigDict(extra="ignore"), "__module__": __name__})


def _relaxed(annotation: Any) -> Any:
    """A type that takes whatever `annotation` takes, and in place of each literal anything of its type."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return _lenient(annotation)
    if get_origin(annotation) is Literal:
        return reduce(or_, {type(value) for value in get_args(annotation)})
    if get_origin(annotation) in (Union, UnionType):
        return reduce(or_, map(_relaxed, get_args(annotation)))
    return annotation
