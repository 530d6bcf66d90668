"""`GET /api/openapi.json`: the API for programs as OpenAPI 3.1, made of its operations and the protocol's classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from agents.web.api_admission import api_view
from agents.web.api_errors import STATUS, json_answer
from myagent import __version__
from myagent.protocol.client_fields import MAX_PARTS, ClientEvent
from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.fork_events import UserFork
from myagent.protocol.http_answers import RefusedAnswer
from myagent.protocol.message_events import UserMessage
from sessions_app.web.api_operation import JsonSchema, Operation
from sessions_app.web.api_operations import OPERATIONS
from sessions_app.web.live_log import EVENT_STREAM

_REF = "#/components/schemas/{model}"
_ALWAYS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CHANGING = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_ADDRESS = frozenset({"event", "session_id"})
_CONTENT: JsonSchema = {
    "description": "text, content parts, or an object with either and the JSON schema of the answer",
    "anyOf": [
        {"type": "string"},
        {"type": "array", "maxItems": MAX_PARTS, "items": {"type": "object"}},
        {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "content": {"type": "array", "maxItems": MAX_PARTS, "items": {"type": "object"}},
                "output_schema": {"type": "object"},
            },
        },
    ],
}
"""`myagent.protocol.client_fields.message_content` takes these apart."""


@api_view("GET", "HEAD")
async def openapi(request: HttpRequest) -> HttpResponse:
    """The view. It tells nothing of this server, so that nobody is asked for credentials."""
    root_path = request.META.get("SCRIPT_NAME", "")
    return json_answer(document() | {"servers": [{"url": root_path or "/"}]})


@cache
def document() -> dict[str, Any]:
    """The document without the address of a server."""
    models = {operation.answer for operation in OPERATIONS if operation.answer is not None} | {RefusedAnswer}
    ordered: list[type[BaseModel]] = sorted(models, key=lambda model: model.__name__)
    _of_model, schemas = models_json_schema([(model, "serialization") for model in ordered], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        place = paths.setdefault(_address(operation), {})
        place[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MyAgent",
            "version": __version__,
            "description": "Sessions of agents over HTTP, on the same log as the WebSocket. See docs/http.md.",
        },
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _address(operation: Operation) -> str:
    # As the addresses of collections and things are written; the other form is served, too.
    slash = "/" if operation.path in ("agents", "sessions") or operation.path.endswith("}") else ""
    return f"/api/{operation.path}{slash}"


def _described(operation: Operation) -> dict[str, Any]:
    names = re.findall(r"\w+(?=})", operation.path)
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    said = [
        {"name": given.name, "in": given.place, "description": given.text, "schema": given.schema}
        for given in operation.parameters
    ]
    described: dict[str, Any] = {
        "operationId": operation.view.__name__ if operation.view is not None else "list_agents",
        "summary": operation.text,
        "parameters": [*in_path, *said],
        "responses": dict(_responses(operation)),
    }
    if operation.asks is not None:
        schema = body_schema(operation.asks, known=names)
        described["requestBody"] = {
            "required": bool(schema["required"]),
            "content": {"application/json": {"schema": schema}},
        }
    return described


def body_schema(kind: type[ClientEvent], known: Iterable[str] = ()) -> JsonSchema:
    """What the body of a request has, where the rest of the event is `known` from the address."""
    schema = kind.model_json_schema(ref_template=_REF)
    fields: JsonSchema = schema["properties"]
    if kind.content_fields:
        keys = {key: field for key, field in kind.content_fields.items() if key not in known}
    else:
        keys = {field: field for field in fields if field not in {*_ADDRESS, *known} and field in _spoken(kind)}
    properties = {key: fields[field] for key, field in keys.items()}
    if "content" in properties:
        required_too = {"anyOf": [*_CONTENT["anyOf"], {"type": "null"}]} if kind is UserFork else {}
        properties["content"] = _CONTENT | required_too
    required = [key for key, field in keys.items() if field in schema.get("required", ())]
    return {"type": "object", "properties": properties, "required": required}


def _spoken(kind: type[ClientEvent]) -> frozenset[str]:
    """The fields that a frame has at top level; metadata says something with messages alone."""
    fields = frozenset(kind.model_fields) - {"output_schema"}
    return fields if kind in (UserMessage, UserFork) else fields - {"metadata", "last_event_id", "last_seq"}


def _responses(operation: Operation) -> Iterator[tuple[str, Any]]:
    good: dict[str, Any] = {"description": operation.status.phrase}
    if operation.answer is not None:
        schema = {"$ref": _REF.format(model=operation.answer.__name__)}
        good["content"] = {"application/json": {"schema": schema}}
    if operation.streams:
        good["content"][EVENT_STREAM] = {"schema": {"type": "string"}}
    yield str(operation.status.value), good
    if operation.path == "sessions/restore":
        yield str(HTTPStatus.OK.value), good
    for status, codes in sorted(_refusals(operation).items()):
        known = f": {', '.join(sorted(codes))}" if codes else ""
        words = {"application/json": {"schema": {"$ref": _REF.format(model=RefusedAnswer.__name__)}}}
        yield str(status.value), {"description": f"{status.phrase}{known}", "content": words}


def _refusals(operation: Operation) -> dict[HTTPStatus, set[ErrorCode]]:
    found: dict[HTTPStatus, set[ErrorCode]] = {status: set() for status in (*_ALWAYS, *_BUSY)}
    if operation.method != "GET":
        found |= {status: set() for status in _CHANGING}
    for code in operation.codes:
        found.setdefault(STATUS[code], set()).add(code)
    return found
