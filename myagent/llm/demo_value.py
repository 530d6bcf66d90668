"""A value for a JSON schema as the demo model makes it up: from the text where it can, and valid as a rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\w)")
_FORMATS = {
    "date": "2030-01-31",
    "date-time": "2030-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "demo@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_DEEPEST = 8
_LONGEST = 200


def demo_value(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """An object that fits `schema`, as far as that is plain; its numbers and words are those of `text`."""
    made = _Maker(schema, text).make(schema, _DEEPEST)
    return made if isinstance(made, dict) else {}


class _Maker:
    def __init__(self, root: Mapping[str, Any], text: str) -> None:
        self._root = root
        self._text = " ".join(text.split())
        self._numbers = [float(found) for found in _NUMBER.findall(text)]

    def make(self, about: Mapping[str, Any], depth: int) -> Any:
        about = self._resolved(about)
        if (known := self._known(about)) is not None or depth <= 0:
            return known
        choices = about.get("anyOf") or about.get("oneOf")
        if choices and "type" not in about:
            some = [choice for choice in choices if choice.get("type") != "null"]
            return self.make(some[0], depth - 1) if some else None
        kind = about.get("type", "object" if "properties" in about else "string")
        match kind[0] if isinstance(kind, list) and kind else kind:
            case "object":
                return {
                    name: self.make(part, depth - 1)
                    for name, part in (about.get("properties") or {}).items()
                    if name in about.get("required", ()) or "default" not in self._resolved(part)
                }
            case "array":
                item = about.get("items")
                count = max(1, about.get("minItems", 0))
                return [self.make(item, depth - 1) for _ in range(count)] if isinstance(item, Mapping) else []
            case "integer" | "number" as number:
                return self._number(about, whole=number == "integer")
            case "boolean":
                return True
            case "null":
                return None
        return self._words(about)

    def _resolved(self, about: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in range(_DEEPEST):
            reference = about.get("$ref")
            if not isinstance(reference, str):
                break
            about = (self._root.get("$defs") or {}).get(reference.rpartition("/")[2]) or {}
        return about

    def _known(self, about: Mapping[str, Any]) -> Any:
        """A value that the schema names: the one in the text, else the first."""
        values = [*(about.get("enum") or ()), *(about.get("examples") or ())]
        said = [value for value in values if isinstance(value, str) and value.lower() in self._text.lower()]
        return next(iter([*said, *values]), about.get("const"))

    def _number(self, about: Mapping[str, Any], *, whole: bool) -> float:
        least = about.get("minimum", about.get("exclusiveMinimum", 0) + 1)
        most = about.get("maximum", about.get("exclusiveMaximum", float("inf")))
        for number in self._numbers:
            if least <= number <= most and (number.is_integer() or not whole):
                self._numbers.remove(number)
                return int(number) if whole else number
        return int(least) if whole else float(least)

    def _words(self, about: Mapping[str, Any]) -> str:
        if (known := _FORMATS.get(str(about.get("format")))) is not None:
            return known
        words = self._text[: min(_LONGEST, about.get("maxLength", _LONGEST))] or "demo"
        return words.ljust(about.get("minLength", 0), ".")
