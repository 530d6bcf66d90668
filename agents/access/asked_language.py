"""The language in which a client asked to be spoken to."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from myagent.i18n import find_language


def asked_language(scope: Any) -> str | None:
    """That of `?lang=` in the URL of a WebSocket; None for one that there is not, which leaves it to the server."""
    query: str = scope.get("query_string", b"").decode("latin-1")
    return find_language(parse_qs(query).get("lang", [""])[-1])
