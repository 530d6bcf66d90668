"""The frames of the protocol as JSON Schema (draft 2020-12), written from the classes that the server itself uses.

What the server sends is open: later versions add keys and words, so a schema names what has to be there and forbids
nothing. Of what a client may send, the schemas describe the form that docs/protocol.md shows; the server reads more
leniently.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from myagent.protocol import direct_events, server_events
from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.codec import CLIENT_EVENT_CLASSES
from myagent.protocol.server_base import PROTOCOL_VERSION, Open, ServerEvent, event_classes

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LOGGED = tuple(event_classes(server_events).values())
DIRECT = tuple(event_classes(direct_events).values())
_OPEN = get_args(Open)[1].func
_TIMESTAMP = {"type": "string", "format": "date-time", "description": "RFC 3339, UTC, milliseconds"}
_ENVELOPE: dict[str, JsonSchemaValue] = {"timestamp": _TIMESTAMP, "session_id": {"type": "string"}}
_NUMBERED: dict[str, JsonSchemaValue] = {
    "seq": {"type": "integer", "minimum": 1},
    "event_id": {"type": "string", "description": "session_id-seq"},
}


def json_schema() -> dict[str, Any]:
    """One document: a schema of every frame, by its class, `ServerEvent` and `ClientEvent` as the unions of them."""
    definitions = frame_schemas("#/$defs/{model}")
    unions = {"ServerEvent": (*LOGGED, *DIRECT), "ClientEvent": CLIENT_EVENT_CLASSES}
    for name, kinds in unions.items():
        definitions[name] = _any_of([f"#/$defs/{kind.__name__}" for kind in kinds])
    return {
        "$schema": DIALECT,
        "title": f"Frames of the MyAgent protocol, version {PROTOCOL_VERSION}",
        **_any_of([f"#/$defs/{name}" for name in unions]),
        "$defs": definitions,
    }


def frame_schemas(ref_template: str) -> dict[str, JsonSchemaValue]:
    """The schemas of all frames and of what they refer to, by the names of their classes.

    `ref_template` says where a reference finds them; `{model}` in it is the name.
    """
    found: dict[str, JsonSchemaValue] = {}
    for kinds, frame in ((LOGGED, _logged_frame), (DIRECT, _direct_frame)):
        for kind in kinds:
            found[kind.__name__] = frame(schema_of_class(kind, ref_template, found))
    for asked in CLIENT_EVENT_CLASSES:
        found[asked.__name__] = _client_frame(asked, schema_of_class(asked, ref_template, found))
    return found


def schema_of_class(kind: type[BaseModel], ref_template: str, found: dict[str, JsonSchemaValue]) -> JsonSchemaValue:
    """The schema of a class as it is on the wire; what it refers to is put into `found`."""
    mode = "serialization" if issubclass(kind, ServerEvent) else "validation"
    schema = kind.model_json_schema(ref_template=ref_template, schema_generator=_Wire, mode=mode)  # type: ignore[arg-type]
    for name, definition in schema.pop("$defs", {}).items():
        if found.setdefault(name, definition) != definition:
            raise TypeError(f"Two classes of the wire are called {name}.")
    if "description" in schema:
        schema["description"] = " ".join(inspect.cleandoc(schema["description"]).split())
    return schema


class _Wire(GenerateJsonSchema):
    """pydantic's schemas of what is on the wire, where None is left out and later versions add words."""

    def function_wrap_schema(self, schema: core_schema.WrapValidatorFunctionSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        if schema["function"]["function"] is not _OPEN:
            return inner
        return {"type": "boolean"} if inner.get("const") is True else {"anyOf": [inner, {"type": "string"}]}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if "default" in schema and schema["default"] is None:
            return self.generate_inner(_without_null(schema["schema"]))
        written = super().default_schema(schema)
        if "const" in written:
            del written["default"]  # it says the same
        return written

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        inner = field["schema"]
        if self.mode == "validation" or inner["type"] != "default":
            return super().field_is_required(field, total)
        return inner.get("default") is not None or "default_factory" in inner

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        written = super().model_schema(schema)
        if written.get("additionalProperties") is False:
            del written["additionalProperties"]
        return written


def _without_null(schema: Any) -> Any:
    """The schema of a field whose None is left out, without the null in it."""
    if schema["type"] == "nullable":
        return schema["schema"]
    return {**schema, "schema": _without_null(schema["schema"])} if "schema" in schema else schema


def _logged_frame(schema: JsonSchemaValue) -> JsonSchemaValue:
    return _frame(schema, {**_ENVELOPE, **_NUMBERED}, required=("timestamp", "session_id", "seq", "event_id"))


def _direct_frame(schema: JsonSchemaValue) -> JsonSchemaValue:
    written = _frame(schema, _ENVELOPE, required=("timestamp",))
    # What tells it from a logged event of the same name.
    written["properties"].update(dict.fromkeys(_NUMBERED, False))
    return written


def _frame(schema: JsonSchemaValue, envelope: dict[str, Any], *, required: Iterable[str]) -> JsonSchemaValue:
    properties = {"event": schema["properties"].pop("event"), **envelope, **schema["properties"]}
    properties["step_id"] = {"type": "string"}
    return {**schema, "properties": properties, "required": ["event", *required, "content", "metadata"]}


def _client_frame(kind: type[ClientEvent], schema: JsonSchemaValue) -> JsonSchemaValue:
    """The frame of an event: fields that `content` holds are in an object there, those that it may hold in either."""
    properties = schema["properties"]
    needed = [name for name in schema.get("required", ()) if name != "event"]
    written = {**schema, "properties": properties, "required": ["event", *needed]}
    if inside := kind.content_fields:
        fields = {key: properties.pop(field) for key, field in inside.items()}
        required = [key for key, field in inside.items() if field in needed]
        content: JsonSchemaValue = {"type": "object", "properties": fields, "required": required}
        if "content" in fields:  # alone, it needs no object around it
            content = {"anyOf": [fields["content"], content]}
        properties["content"] = content
        outside = [name for name in needed if name not in inside.values()]
        written["required"] = ["event", *outside, *(["content"] if required else [])]
    for name in kind.content_may_have:
        if name in written["required"]:
            written["required"].remove(name)
            inner = {"properties": {"content": {"type": "object", "required": [name]}}, "required": ["content"]}
            written.setdefault("allOf", []).append({"anyOf": [{"required": [name]}, inner]})
    return written


def _any_of(references: Iterable[str]) -> JsonSchemaValue:
    return {"anyOf": [{"$ref": reference} for reference in references]}
