"""What the events of the server have in common, and the words of the wire that the loop uses as well.

Unknown fields are refused when an event is built, so that a mistake of the server fails here. `session_id`,
`timestamp`, `seq` and `event_id` belong to the envelope; `codec.encode` adds them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

PROTOCOL_VERSION = "1"

ToolStatus = Literal["success", "failed", "declined", "cancelled", "unknown"]
Finish = Literal["answer", "terminate", "max_steps"]


class Metadata(BaseModel):
    """Base of all metadata; fields that are None are left out of the frame."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RunMetadata(Metadata):
    """Metadata of every event of a run."""

    run_id: str


class ServerEvent(BaseModel):
    """Base of all events of the server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: str
    step_id: str | None = None
    content: Any = None
    metadata: Metadata = Metadata()
