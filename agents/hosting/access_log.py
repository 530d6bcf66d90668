"""The access log: one line per HTTP request and per WebSocket event, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TextIO

_WEBSOCKET_ACTIONS = {"connected": "WSCONNECT", "disconnected": "WSDISCONNECT", "rejected": "WSREJECT"}


class AccessLog:
    """daphne's action logger; writes lines in a format like NCSA's to a stream.

    Queries are left out, because they contain tokens; so are fragments, which only a broken client sends.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, protocol: str, action: str, details: Mapping[str, Any]) -> None:
        """Write the line of an action, if it has one."""
        if protocol == "http" and action == "complete":
            method = details["method"]
        elif protocol == "websocket" and action in _WEBSOCKET_ACTIONS:
            method = _WEBSOCKET_ACTIONS[action]
        else:
            return
        now = datetime.now().astimezone().strftime("%d/%b/%Y:%H:%M:%S %z")
        client, status, size = (details.get(key) or "-" for key in ("client", "status", "size"))
        request = f"{_printable(method)} {_printable(details['path'])}"
        self._stream.write(f'{client} - - [{now}] "{request}" {status} {size}\n')


def _printable(text: str) -> str:
    """`text` without query and fragment and without characters that could forge a line or control a terminal."""
    plain = text.partition("?")[0].partition("#")[0]
    return plain.encode("unicode_escape").decode("ascii").replace('"', '\\"')
