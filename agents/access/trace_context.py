"""The trace that a request is part of, as its client says it (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import re
from typing import Any

from agents.access.arrival import headers_of

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(scope: dict[str, Any]) -> str:
    """The header `traceparent` of an ASGI scope, empty where there is none or it is malformed."""
    return checked_traceparent(headers_of(scope).get("traceparent", ""))


def checked_traceparent(shown: Any) -> str:
    """What a client says where it says it, empty where it is malformed."""
    return shown if isinstance(shown, str) and _TRACEPARENT.fullmatch(shown) else ""
