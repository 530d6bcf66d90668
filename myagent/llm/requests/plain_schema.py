"""JSON Schemas of tools in the subset that Gemini and the gateways in front of it take. Pure.

That subset is the Schema object of OpenAPI 3.0 without references: unknown keywords are refused, not ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from myagent.llm import ToolSchema

_KEPT = frozenset(
    {
        *("type", "description", "nullable", "enum", "items", "properties", "required", "anyOf", "pattern"),
        *("minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength"),
    }
)
_DEEPEST = 16
_SHOWN_VALUES = 20


def plain_tools(tools: Sequence[ToolSchema]) -> list[ToolSchema]:
    """Tools whose parameters are in the subset; a tool without parameters has no schema at all."""
    return [_plain_tool(tool) for tool in tools]


def _plain_tool(tool: ToolSchema) -> ToolSchema:
    function = dict(tool.get("function") or {})
    function.pop("strict", None)
    parameters = function.pop("parameters", None)
    if isinstance(parameters, Mapping) and parameters.get("properties"):
        function["parameters"] = plain_schema(parameters)
    return {**tool, "function": function}


def plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` in the subset; what it cannot say is said in the description, or left out."""
    return _Writer(schema).write(schema, _DEEPEST)


class _Writer:
    """Writes one schema; `root` holds the definitions that its references name."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def write(self, schema: object, depth: int, inside: tuple[str, ...] = ()) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            return {}
        if isinstance(reference := schema.get("$ref"), str):
            target = self._definition(reference)
            if reference in inside or target is None or not depth:
                return {"type": "object"} | _description(schema)
            return self.write({**target, **_without(schema, "$ref")}, depth - 1, (*inside, reference))
        for part in schema.get("allOf") or ():
            schema = {
                **_without(schema, "allOf"),
                **(part if isinstance(part, Mapping) else {}),
                **_description(schema),
            }
            if "$ref" in schema or "allOf" in schema:
                return self.write(schema, depth - 1, inside) if depth else _description(schema)
        return self._keywords(_unified(schema), depth, inside)

    def _keywords(self, schema: dict[str, Any], depth: int, inside: tuple[str, ...]) -> dict[str, Any]:
        written = {name: value for name, value in schema.items() if name in _KEPT}
        if not depth:
            return {name: written[name] for name in ("type", "description", "nullable") if name in written}
        required = written.pop("required", None) or ()
        if isinstance(properties := written.get("properties"), Mapping):
            written["properties"] = {name: self.write(about, depth - 1, inside) for name, about in properties.items()}
            known = [name for name in required if name in properties]
            written |= {"required": known} if known else {}
        if "items" in written or written.get("type") == "array":
            written["items"] = self.write(written.get("items"), depth - 1, inside) or {"type": "string"}
        if choices := written.pop("anyOf", None):
            written |= _chosen([self.write(choice, depth - 1, inside) for choice in choices], written)
        return _with_values(written)

    def _definition(self, reference: str) -> Mapping[str, Any] | None:
        if not reference.startswith("#"):
            return None
        found: Any = self._root
        for name in filter(None, reference[1:].split("/")):
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else None


def _without(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != name}


def _description(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": schema["description"]} if schema.get("description") else {}


def _unified(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` with one spelling of what JSON Schema can say in several ways."""
    unified = dict(schema)
    if "const" in unified:
        unified.setdefault("enum", [unified["const"]])
    if "oneOf" in unified:
        unified.setdefault("anyOf", unified["oneOf"])
    if isinstance(kinds := unified.get("type"), list):
        plain = [kind for kind in kinds if kind != "null"]
        unified |= {"nullable": True} if len(plain) < len(kinds) else {}
        unified.pop("type")
        unified |= {"type": plain[0]} if len(plain) == 1 else {"anyOf": [{"type": kind} for kind in plain]}
    if "type" not in unified and "properties" in unified:
        unified["type"] = "object"
    return unified


def _chosen(choices: list[dict[str, Any]], about: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords for one of `choices`; the choice of nothing is `nullable`."""
    some = [choice for choice in choices if choice.get("type") != "null"]
    nullable = {"nullable": True} if len(some) < len(choices) else {}
    if len(some) == 1:
        return {**some[0], **_both(some[0], about), **_description(about), **nullable}
    return {"anyOf": some, **nullable} if some else nullable


def _both(choice: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of the only choice and of what it is a choice of, where both have some."""
    if "properties" not in choice or "properties" not in about:
        return {}
    required = dict.fromkeys([*about.get("required", ()), *choice.get("required", ())])
    return {"properties": {**about["properties"], **choice["properties"]}} | (
        {"required": [*required]} if required else {}
    )


def _with_values(schema: dict[str, Any]) -> dict[str, Any]:
    """An `enum` is for texts only; other values are named in the description."""
    values = schema.get("enum")
    if values is None:
        return schema
    texts = [value for value in values if isinstance(value, str)]
    if None in values:
        schema["nullable"] = True
    if schema.get("type", "string") == "string" and texts and len(texts) == len([v for v in values if v is not None]):
        return schema | {"type": "string", "enum": texts}
    named = ", ".join(str(value) for value in values[:_SHOWN_VALUES] if value is not None)
    schema.pop("enum")
    said = " ".join(filter(None, [schema.get("description"), f"One of: {named}."]))
    return schema | {"description": said}
