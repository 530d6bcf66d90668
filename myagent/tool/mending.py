"""Mends what models write instead of JSON arguments, where there is one way only to understand it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from myagent.tool.storable_json import BIGGEST_INT

_FENCE = re.compile(r"\s*```(?:json)?\s*\n(?P<inside>.*?)\n?\s*```\s*", re.DOTALL | re.IGNORECASE)
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)
_WHOLE_NUMBER = re.compile(r"\s*[+-]?\d{1,19}(?:\.0+)?\s*", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?\s*", re.ASCII)


def read_object(text: str, read: Callable[[str], Any]) -> Any:
    """What `read` makes of JSON text. Line ends within texts, commas behind the last item, a Markdown fence around it
    and JSON within a JSON text are put up with.

    Raises what `read` raises for `text` when nothing helps.
    """
    try:
        return _unwrapped(read(text), read)
    except ValueError:
        for mended in _mended(text):
            try:
                return _unwrapped(read(mended), read)
            except ValueError:
                continue
        raise


def _mended(text: str) -> Iterator[str]:
    if fenced := _FENCE.fullmatch(text):
        text = fenced["inside"]
        yield text
    yield _STRING_OR_COMMA.sub(lambda match: "" if match[0] == "," else match[0], text)


def _unwrapped(value: Any, read: Callable[[str], Any]) -> Any:
    """The object in a text that is JSON once more; any other text stays as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        inside = read(value)
    except ValueError:
        return value
    return inside if isinstance(inside, dict) else value


def of_type(value: str, kind: str) -> Any:
    """The value of JSON schema type `kind` that is written in the text `value`, None when there is none."""
    match kind:
        case "integer" if _WHOLE_NUMBER.fullmatch(value):
            number = int(value.strip().partition(".")[0])
            return number if abs(number) <= BIGGEST_INT else None
        case "number" if _NUMBER.fullmatch(value):
            return of_type(value, "integer") if _WHOLE_NUMBER.fullmatch(value) else float(value)
        case "boolean":
            return {"true": True, "false": False}.get(value.strip().lower())
        case "array" | "object":
            return _container(value, list if kind == "array" else dict)
    return None


def _container(text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, kind) else None
