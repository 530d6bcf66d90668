"""Reads values that models write as texts, where there is one way only to understand them."""

from __future__ import annotations

import json
import re
from typing import Any

from myagent.tool.storable_json import BIGGEST_INT

_WHOLE_NUMBER = re.compile(r"\s*[+-]?\d{1,19}(?:\.0+)?\s*", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?\s*", re.ASCII)


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
