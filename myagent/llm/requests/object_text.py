"""Reads the JSON of an object as models write it, where there is one way only to understand it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

_FENCE = re.compile(r"\s*```(?:json)?\s*\n(?P<inside>.*?)\n?\s*```\s*", re.DOTALL | re.IGNORECASE)
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)


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
