"""Events of the server as classes, read leniently: a client tolerates servers that are newer than it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from myagent.protocol import direct_events, server_events
from myagent.protocol.direct_events import FreeMetadata, RefusalMetadata
from myagent.protocol.server_base import LENIENT, ServerEvent, event_classes


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
            is_free = kind.model_fields["metadata"].annotation is RefusalMetadata
            return kind.model_validate(body, extra="allow" if is_free else "ignore", context=LENIENT)
        except ValidationError:
            pass  # a later version needs other fields than this one
    return UnknownEvent(event=name, step_id=step_id, content=content, metadata=FreeMetadata(**known))


_LOGGED = event_classes(server_events)
_DIRECT = event_classes(direct_events)
