"""What a WebSocket client offers in `Sec-WebSocket-Protocol`: a token, as pages cannot set other headers.

    new WebSocket(url, ["bearer", token])

A browser that offers anything ends a connection whose answer names nothing of it, so something is always answered.
"""

from __future__ import annotations

from typing import Any

from agents.log_format import redact

BEARER = "bearer"
"""The one before the token, and the answer to the two."""


def offered_token(scope: dict[str, Any]) -> str | None:
    """The token in the offer."""
    offered = _offered(scope)
    following = offered[offered.index(BEARER) + 1 :] if BEARER in offered else []
    return following[0] if following else None


def acceptance(scope: dict[str, Any]) -> dict[str, Any]:
    """The message that accepts the connection, with `bearer` or else the first of the offer; never with a token."""
    offered = _offered(scope)
    # Somebody may forget the `bearer` before a token.
    answers = [BEARER] if BEARER in offered else [name for name in offered if redact(name) == name]
    return {"type": "websocket.accept", **({"subprotocol": answers[0]} if answers else {})}


def _offered(scope: dict[str, Any]) -> list[str]:
    return list(scope.get("subprotocols") or ())
