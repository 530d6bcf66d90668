"""The protocol as an AsyncAPI 3 document: which frames go where over which address. The application is the server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from myagent.protocol.codec import CLIENT_EVENT_CLASSES
from myagent.protocol.error_codes import CloseCode, ErrorCode
from myagent.protocol.frame_schemas import DIRECT, LOGGED, frame_schemas
from myagent.protocol.server_base import PROTOCOL_VERSION, own_words

SERVER_MESSAGES = (*LOGGED, *DIRECT)
MESSAGES = (*SERVER_MESSAGES, *CLIENT_EVENT_CLASSES)
CHANNELS = {"agent": "/ws/{agent}/", "firstAgent": "/"}
"""The addresses by the names of their channels; the slash at the end may be missing."""
_TAGS = {"logged": LOGGED, "direct": DIRECT}


def asyncapi(*, host: str = "127.0.0.1:8000", path: str = "", secure: bool = False) -> dict[str, Any]:
    """The document for a server at `host` (a name and a port), under `path` of it, with TLS if it is `secure`."""
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "MyAgent",
            "version": PROTOCOL_VERSION,
            "description": _description(),
            "tags": [
                {"name": "logged", "description": "Stored in the session's log, and replayed with the same number."},
                {"name": "direct", "description": "For one connection alone."},
            ],
        },
        "defaultContentType": "application/json",
        "servers": {"this": _server(host, path, secure=secure)},
        "channels": {name: _channel(address) for name, address in CHANNELS.items()},
        "operations": {
            f"{action}.{name}": _operation(action, name, kinds)
            for name in CHANNELS
            for action, kinds in (("receive", CLIENT_EVENT_CLASSES), ("send", SERVER_MESSAGES))
        },
        "components": {
            "messages": {kind.__name__: _message(kind) for kind in MESSAGES},
            "schemas": frame_schemas("#/components/schemas/{model}"),
            "securitySchemes": _SECURITY,
        },
    }


_SECURITY = {
    "token": {"type": "httpApiKey", "name": "token", "in": "query", "description": "A token in the URL."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same token as a header."},
}


def _server(host: str, path: str, *, secure: bool) -> dict[str, Any]:
    security = [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SECURITY]
    server = {"host": host, "protocol": "wss" if secure else "ws", "security": security}
    return {**server, "pathname": path} if path else server


def _channel(address: str) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": address,
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"} for kind in MESSAGES},
        "bindings": {"ws": {"query": _QUERY, "bindingVersion": "0.1.0"}},
    }
    if "{agent}" in address:
        channel["parameters"] = {"agent": {"description": "The name of the agent, as `/api/agents/` lists it."}}
    return channel


_QUERY = {
    "type": "object",
    "properties": {
        "token": {"type": "string"},
        "lang": {"type": "string", "description": "The language of what this connection alone is told: en, zh-hans."},
    },
}


def _operation(action: str, channel: str, kinds: Iterable[type[BaseModel]]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{kind.__name__}"} for kind in kinds],
    }


def _message(kind: type[BaseModel]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": kind.model_fields["event"].default,
        "title": kind.__name__,
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
    }
    if words := own_words(kind):
        message["summary"] = words
    tags = [{"name": tag} for tag, kinds in _TAGS.items() if kind in kinds]
    if tags:
        message["tags"] = tags
    if kind not in LOGGED:
        message["correlationId"] = {"location": "$message.payload#/metadata/request_id"}
    return message


def _description() -> str:
    closes = ", ".join(f"{code} {name}" for name, code in vars(CloseCode).items() if name.isupper())
    return (
        "One JSON object per text frame, in both directions; binary frames are refused. Logged events have a `seq`, "
        "are stored before they are sent, and can be had again from any number. What the schemas name stays; later "
        "versions add events, keys and words.\n\n"
        f"Codes of refusals (`metadata.code`): {', '.join(ErrorCode)}.\n\n"
        f"Close codes: {closes}."
    )
