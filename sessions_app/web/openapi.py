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
from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.fork_events import UserFork
from myagent.protocol.frame_schemas import frame_schemas, schema_of_class
from myagent.protocol.http_answers import RefusedAnswer
from myagent.protocol.message_events import UserMessage
from sessions_app.web.api_operation import BYTES, JSON, JsonSchema, Operation
from sessions_app.web.api_operations import OPERATIONS

_REF = "#/components/schemas/{model}"
_ALWAYS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CHANGING = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_EMPTY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_FORMATS = {BYTES: {"format": "binary"}}
_ADDRESS = frozenset({"event", "session_id"})


@api_view("GET", "HEAD")
async def openapi(request: HttpRequest) -> HttpResponse:
    """The view. It tells nothing of this server, so that nobody is asked for credentials."""
    root_path = request.META.get("SCRIPT_NAME", "")
    return json_answer(document() | {"servers": [{"url": root_path or "/"}]})


@cache
def document() -> dict[str, Any]:
    """The document without the address of a server."""
    paths: dict[str, dict[str, Any]] = {}
    schemas = _answer_schemas()
    for operation in OPERATIONS:
        place = paths.setdefault(_address(operation), {})
        place[operation.method.lower()] = _described(operation, schemas)
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
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _answer_schemas() -> dict[str, JsonSchema]:
    models = {operation.answer for operation in OPERATIONS if operation.answer is not None} | {RefusedAnswer}
    ordered: list[type[BaseModel]] = sorted(models, key=lambda model: model.__name__)
    _of_model, schemas = models_json_schema([(model, "serialization") for model in ordered], ref_template=_REF)
    return dict(schemas["$defs"])


def _address(operation: Operation) -> str:
    # As the addresses of collections and things are written; the other form is served, too.
    slash = "/" if operation.path in ("agents", "sessions") or operation.path.endswith("}") else ""
    return f"/api/{operation.path}{slash}"


def _described(operation: Operation, schemas: dict[str, JsonSchema]) -> dict[str, Any]:
    names = re.findall(r"\w+(?=})", operation.path)
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    said = [
        {"name": given.name, "in": given.place, "description": given.text, "schema": given.schema}
        for given in operation.parameters
    ]
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.text,
        "parameters": [*in_path, *said],
        "responses": dict(_responses(operation)),
    }
    if operation.asks is not None:
        schema = _body_schema(operation.asks, names, schemas)
        described["requestBody"] = {
            "required": bool(schema.get("required")),
            "content": {operation.asks_as: {"schema": schema}},
        }
    return described


def _body_schema(kind: type[BaseModel], known: Iterable[str], schemas: dict[str, JsonSchema]) -> JsonSchema:
    """What the body of a request has; of an event of the protocol, where the rest is `known` from the address."""
    if not issubclass(kind, ClientEvent):
        return schema_of_class(kind, _REF, schemas)
    frame = _frames()[kind.__name__]
    fields, content = frame["properties"], frame["properties"].get("content", {})
    if content.get("type") == "object":
        frame, fields = content, content["properties"]
    else:
        spoken = _spoken(kind)
        fields = {name: field for name, field in fields.items() if name in spoken}
    properties = {name: field for name, field in fields.items() if name not in {*_ADDRESS, *known}}
    needed = {*frame.get("required", ()), *(name for name in kind.content_may_have if _is_needed(kind, name))}
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name in needed],
    }


@cache
def _frames() -> dict[str, JsonSchema]:
    return frame_schemas(_REF)


def _is_needed(kind: type[ClientEvent], name: str) -> bool:
    return name in kind.model_fields and kind.model_fields[name].is_required()


def _spoken(kind: type[ClientEvent]) -> frozenset[str]:
    """The fields that a frame has at top level; metadata says something with messages alone."""
    fields = frozenset(kind.model_fields)
    return fields if kind in (UserMessage, UserFork) else fields - {"metadata", "last_event_id", "last_seq"}


def _responses(operation: Operation) -> Iterator[tuple[str, Any]]:
    good: dict[str, Any] = {"description": operation.status.phrase}
    # JSON comes first, since generators of clients take the first kind that they know.
    content: dict[str, Any] = {}
    if operation.answer is not None:
        content[JSON] = {"schema": {"$ref": _REF.format(model=operation.answer.__name__)}}
    content |= {kind: {"schema": {"type": "string"} | _FORMATS.get(kind, {})} for kind in operation.answers_as}
    if content:
        good["content"] = content
    yield str(operation.status.value), good
    for status in operation.also:
        yield str(status.value), {**({} if status in _EMPTY else good), "description": status.phrase}
    for status, codes in sorted(_refusals(operation).items()):
        known = f": {', '.join(sorted(codes))}" if codes else ""
        words = {JSON: {"schema": {"$ref": _REF.format(model=RefusedAnswer.__name__)}}}
        yield str(status.value), {"description": f"{status.phrase}{known}", "content": words}


def _refusals(operation: Operation) -> dict[HTTPStatus, set[ErrorCode]]:
    found: dict[HTTPStatus, set[ErrorCode]] = {status: set() for status in (*_ALWAYS, *_BUSY)}
    if operation.method != "GET":
        found |= {status: set() for status in _CHANGING}
    for code in operation.codes:
        found.setdefault(STATUS[code], set()).add(code)
    return found
