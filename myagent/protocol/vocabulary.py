"""Words of the wire that the loop uses as well. They are for ever."""

from __future__ import annotations

from typing import Literal

PROTOCOL_VERSION = "1"

ToolStatus = Literal["success", "failed", "declined", "cancelled", "unknown"]
Finish = Literal["answer", "terminate", "max_steps"]
