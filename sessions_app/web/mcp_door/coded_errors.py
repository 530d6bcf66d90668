"""What the SDK refuses by itself, with our code beside its own: an error has one, whoever finds it. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import orjson

from myagent.protocol.error_codes import ErrorCode

Message = MutableMapping[str, Any]
INVALID_REQUEST = -32600
OF_STATUS: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.NOT_ACCEPTABLE: ErrorCode.UNSUPPORTED_TYPE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ErrorCode.TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ErrorCode.UNSUPPORTED_TYPE,
    HTTPStatus.INTERNAL_SERVER_ERROR: ErrorCode.INTERNAL_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE: ErrorCode.BUSY,
}
OF_ERROR: dict[int, str] = {
    -32700: ErrorCode.BAD_JSON,
    -32602: ErrorCode.BAD_FIELD,
    -32603: ErrorCode.INTERNAL_ERROR,
    -32021: ErrorCode.NOT_SUPPORTED,  # a capability that the client lacks
    -32022: ErrorCode.NOT_SUPPORTED,  # a version of the protocol
}


class CodedErrors:
    """Passes an answer on to `send`; one that is an error as a whole is held until all of it is there."""

    def __init__(self, send: Callable[[Message], Awaitable[None]]) -> None:
        self._send = send
        self._held: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        """Take one message of ASGI."""
        if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
            self._held = message
            return
        if self._held is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            body = with_code(self._held["status"], self._body)
            kept = [(name, value) for name, value in self._held["headers"] if name not in _OF_BODY]
            told = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await self._send({**self._held, "headers": [*kept, *told]})
            await self._send({"type": "http.response.body", "body": body})


_OF_BODY = (b"content-type", b"content-length")


def with_code(status: int, body: bytes) -> bytes:
    """The body of an error with our code; what says more by itself stays as it is."""
    try:
        told: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError:
        words = body.decode("utf-8", "replace") or HTTPStatus(status).phrase
        told = {"jsonrpc": "2.0", "id": None, "error": {"code": INVALID_REQUEST, "message": words}}
    error = told["error"]
    about = error.get("data") or {}
    if not isinstance(about, dict) or "code" in about:
        return body
    code = OF_STATUS.get(status) or OF_ERROR.get(error["code"], ErrorCode.BAD_FRAME)
    error["data"] = {**about, "code": code}
    return orjson.dumps(told)
