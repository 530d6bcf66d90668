"""Which tools the demo model calls: those that take a value that occurs in the user's text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import orjson

from myagent.llm import ToolSchema

_WORD = re.compile(r"[a-z0-9]+")
_CJK_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


@dataclass(frozen=True, slots=True)
class Example:
    """A value that a tool's parameter is known to take; `text` is how it is written in a message."""

    tool: str
    parameter: str
    value: Any
    text: str


@dataclass(slots=True)
class DemoCall:
    """A call the demo model makes."""

    tool: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> str:
        """The arguments as JSON text."""
        return orjson.dumps(self.values).decode()


def examples(tools: Sequence[ToolSchema]) -> list[Example]:
    """Every example value that the parameters of `tools` name, in their order."""
    return [
        Example(_name(schema), parameter, value, str(value))
        for schema in tools
        for parameter, about in _properties(schema).items()
        for value in _values(about, _parameters(schema))
    ]


def choose_calls(text: str, tools: Sequence[ToolSchema]) -> list[DemoCall]:
    """The calls that `text` asks for, in the order of the values in it; all required parameters are filled in."""
    schemas = {_name(schema): schema for schema in tools}
    scores = _scores(text, tools)
    calls: list[DemoCall] = []
    for spoken in _spoken(text, examples(tools)):
        # `max` keeps the first of equals, so the order of the tools decides where the words do not.
        tool = max({example.tool: None for example in spoken}, key=scores.__getitem__)
        _place([example for example in spoken if example.tool == tool], calls, schemas[tool])
    for call in calls:
        _complete(call, schemas[call.tool], text)
    return calls


def _name(schema: ToolSchema) -> str:
    return str(schema["function"]["name"])


def _parameters(schema: ToolSchema) -> Mapping[str, Any]:
    return schema["function"].get("parameters") or {}


def _properties(schema: ToolSchema) -> Mapping[str, Mapping[str, Any]]:
    found = _parameters(schema).get("properties") or {}
    return {name: about for name, about in found.items() if isinstance(about, Mapping)}


def _values(about: object, root: Mapping[str, Any], depth: int = 4) -> Iterator[str | int | float]:
    """The values in a property's schema, also behind `anyOf`, `items` and `$ref`."""
    if not isinstance(about, Mapping) or not depth:
        return
    # pydantic writes a Literal of one value as `const`.
    for value in [*(about.get("enum") or ()), *(about.get("examples") or ()), about.get("const")]:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, (str, int, float)) and not isinstance(item, bool) and str(item).strip():
                yield item
    inner = [*(about.get("anyOf") or ()), *(about.get("oneOf") or ()), about.get("items")]
    if isinstance(reference := about.get("$ref"), str):
        inner.append(root.get("$defs", {}).get(reference.rpartition("/")[2]))
    for schema in inner:
        yield from _values(schema, root, depth - 1)


def _spoken(text: str, known: Sequence[Example]) -> list[list[Example]]:
    """For each value in `text`, the examples that have it. Of values that overlap, only the longest is meant."""
    spans: dict[tuple[int, int], list[Example]] = {}
    for example in known:
        # Latin letters on both sides would make it a part of another word; Chinese has no such borders.
        pattern = rf"(?<![A-Za-z0-9]){re.escape(example.text)}(?![A-Za-z0-9])"
        for match in re.finditer(pattern, text, re.IGNORECASE):
            spans.setdefault(match.span(), []).append(example)
    meant: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0] - span[1], span)):
        if all(end <= other[0] or start >= other[1] for other in meant):
            meant.append((start, end))
    said = [spans[span] for span in sorted(meant)]
    return [examples for at, examples in enumerate(said) if examples not in said[:at]]


def _tokens(text: str) -> set[str]:
    """The words of Latin text and the character pairs of Chinese text."""
    text = text.lower()
    pairs = {a + b for run in _CJK_RUN.findall(text) for a, b in pairwise(run)}
    return pairs | set(_WORD.findall(text))


def _scores(text: str, tools: Sequence[ToolSchema]) -> dict[str, float]:
    """How much the words of `text` speak of each tool; a word that many tools share tells little."""
    described = {
        _name(schema): _tokens(f"{_name(schema)} {schema['function'].get('description') or ''}") for schema in tools
    }
    shared = Counter(token for tokens in described.values() for token in tokens)
    asked = _tokens(text)
    return {name: sum(1 / shared[token] for token in tokens & asked) for name, tokens in described.items()}


def _place(spoken: Sequence[Example], calls: list[DemoCall], schema: ToolSchema) -> None:
    """Put a value into the last call of its tool where a parameter is still free, else begin another call."""
    required = _parameters(schema).get("required") or ()
    wanted = sorted(spoken, key=lambda example: example.parameter not in required)
    last = next((call for call in reversed(calls) if call.tool == wanted[0].tool), None)
    free = [example for example in wanted if last is not None and example.parameter not in last.values]
    if last is None or not free:
        last = DemoCall(wanted[0].tool)
        calls.append(last)
        free = wanted
    about = _properties(schema)[free[0].parameter]
    last.values[free[0].parameter] = [free[0].value] if about.get("type") == "array" else free[0].value


def _complete(call: DemoCall, schema: ToolSchema, text: str) -> None:
    """Fill in the required parameters that `text` says nothing of."""
    properties = _properties(schema)
    for name in _parameters(schema).get("required") or ():
        if name not in call.values:
            call.values[name] = _made_up(properties.get(name, {}), _parameters(schema), text)


def _made_up(about: Mapping[str, Any], root: Mapping[str, Any], text: str) -> Any:
    if about.get("examples"):
        return about["examples"][0]
    if "default" in about:
        return about["default"]
    kind = about.get("type")
    if (value := next(_values(about, root), None)) is not None:
        return [value] if kind == "array" else value
    match kind:
        case "integer" | "number":
            return about.get("minimum", 1)
        case "boolean":
            return False
        case "array":
            return []
        case "object":
            return {}
        case _:
            return text
