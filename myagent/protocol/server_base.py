"""What the events of the server have in common, and the words of the wire that the loop uses as well.

Unknown fields are refused when an event is built, so that a mistake of the server fails here. `session_id`,
`timestamp`, `seq` and `event_id` belong to the envelope; `codec.encode` adds them.
"""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

Words = TypeVar("Words")

LENIENT = "lenient"
"""The validation context of a client, which takes what later versions of the server may say."""


def _known_or_later(value: Any, known: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    try:
        return known(value)
    except ValidationError:
        if info.context == LENIENT and isinstance(value, (str, bool)):
            return value
        raise


Open = Annotated[Words, WrapValidator(_known_or_later)]
"""Literals to which later versions may add: the server sends these only, a client takes any."""

PROTOCOL_VERSION = "1"

ToolStatus = Literal["success", "failed", "declined", "cancelled", "unknown"]
Finish = Literal["answer", "terminate", "max_steps", "length", "limit", "refused"]
Limit = Literal["max_steps", "max_tokens", "max_tool_calls", "max_seconds", "repeat_limit"]
"""What a run may be limited by: the names of the agent's options."""


class Metadata(BaseModel):
    """Base of all metadata; fields that are None are left out of the frame."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RunMetadata(Metadata):
    """Metadata of every event of a run."""

    run_id: str


class LimitFields(Metadata):
    """How much of a limit a run has used; of time in seconds."""

    which: Open[Limit]
    used: int | float
    allowed: int | float


class ServerEvent(BaseModel):
    """Base of all events of the server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: str
    step_id: str | None = None
    content: Any = None
    metadata: Metadata = Metadata()


def event_classes(module: ModuleType) -> dict[str, type[ServerEvent]]:
    """The events that a module defines, by their names on the wire."""
    return {
        kind.model_fields["event"].default: kind
        for _name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, ServerEvent) and kind is not ServerEvent
    }


def own_words(kind: type[BaseModel]) -> str:
    """The docstring of a class of the wire on one line; empty where it has none of its own."""
    if kind.__doc__ and kind.__doc__ not in (base.__doc__ for base in kind.__mro__[1:]):
        return " ".join(inspect.cleandoc(kind.__doc__).split())
    return ""
