"""`OutputTool`: how a model is told what its answer has to be. A tool to call, or the request's `response_format`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from myagent.llm import ToolSchema

OUTPUT_TOOL = "final_output"
"""The name of the tool; agents with an output can have no other tool of this name."""
_DESCRIPTION = (
    "Give the final answer. Call it once, when the work is done and the other tools are no longer needed, and alone. "
    "Text that you write beside this call is shown to the user."
)


class OutputTool(dict[str, Any]):
    """The declaration of that tool. Any model may take it for what it is: one more tool.

    Where `may_be_native`, a model whose endpoint takes a `response_format` may ask for that instead. Nothing then tells
    a call of the tool from the text of the answer but how it comes, and both are understood.
    """

    def __init__(self, schema: Mapping[str, Any], *, may_be_native: bool) -> None:
        function = {"name": OUTPUT_TOOL, "description": _DESCRIPTION, "parameters": dict(schema)}
        super().__init__({"type": "function", "function": function})
        self.may_be_native = may_be_native


def output_tool_of(tools: Sequence[ToolSchema]) -> OutputTool | None:
    """The output's tool, which is always the last of a request's tools; None in a request without."""
    last = tools[-1] if tools else None
    return last if isinstance(last, OutputTool) else None


def with_response_format(request: Mapping[str, Any]) -> dict[str, Any]:
    """`request`, whose last tool is the output's, with a `response_format` in the place of that tool."""
    *others, tool = request["tools"]
    schema = tool["function"].get("parameters") or {"type": "object", "properties": {}}
    written = {**request, "tools": others}
    if not others:
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            written.pop(name, None)
    sealed = _sealed(schema)
    json_schema = {"name": OUTPUT_TOOL, "schema": schema if sealed is None else sealed, "strict": sealed is not None}
    return {**written, "response_format": {"type": "json_schema", "json_schema": json_schema}}


def _sealed(schema: Any) -> Any:
    """`schema` as strict endpoints want it; None where a property may be left out or added, which they do not take."""
    if isinstance(schema, list):
        items = [_sealed(item) for item in schema]
        return None if any(item is None for item in items) else items
    if not isinstance(schema, Mapping):
        return schema
    sealed: dict[str, Any] = {}
    for name, item in schema.items():
        if name in ("allOf", "if", "not", "patternProperties"):
            return None  # each part would refuse what belongs to the others
        if name in ("properties", "$defs", "definitions") and isinstance(item, Mapping):
            inner = {key: _sealed(part) for key, part in item.items()}
            if any(part is None for part in inner.values()):
                return None
            sealed[name] = inner
        elif name in ("items", "anyOf", "oneOf", "prefixItems"):
            if (inside := _sealed(item)) is None:
                return None
            sealed[name] = inside
        else:
            sealed[name] = item
    if sealed.get("type") == "object" or "properties" in sealed:
        is_open = bool(sealed.get("additionalProperties"))
        if is_open or set(sealed.get("required", ())) != set(sealed.get("properties", {})):
            return None
        sealed["additionalProperties"] = False
    return sealed
