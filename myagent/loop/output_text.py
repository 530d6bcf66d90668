"""The text around a value: the value in a form for people, the JSON in what a model says, and where it begins. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from myagent.i18n import gettext as _

_FENCED = re.compile(
    r"^[ \t]*```(?:json)?[ \t]*\n(?P<value>.*?)\n[ \t]*```[ \t]*$", re.DOTALL | re.IGNORECASE | re.MULTILINE
)
_OBJECT = re.compile(r"^[ \t]*\{", re.MULTILINE)
_OPENINGS = ("{", "```")
_MAYBE_OPENINGS = ("", "`", "``")
_DEEPEST = 6
_NOTHING = "–"


def split_value(text: str) -> tuple[str, str]:
    """What a reply says beside its value, and the JSON text of that; one of them may be empty."""
    if (fenced := _FENCED.search(text)) is not None:
        rest = (text[: fenced.start()].strip(), text[fenced.end() :].strip())
        return "\n\n".join(filter(None, rest)), fenced["value"].strip()
    if (begins := _OBJECT.search(text)) is not None:
        return text[: begins.start()].strip(), text[begins.start() :].strip()
    return text.strip(), ""


def with_code(text: str) -> str:
    """A reply that ends with the JSON of a value, with that as a block of code in Markdown; any other as it is."""
    said, given = split_value(text)
    try:
        value = json.loads(given) if given.startswith("{") else None
    except (ValueError, RecursionError):
        value = None
    return text if value is None else "\n\n".join(filter(None, [said, as_code(value)]))


def as_code(value: Mapping[str, Any]) -> str:
    """A value as a block of code in Markdown."""
    # A fence in a text cannot end the block: JSON has no line ends within texts.
    return f"```json\n{json.dumps(value, ensure_ascii=False, indent=2)}\n```"


class JSONHider:
    """Lets the text of one step through, up to a line that begins as JSON: with a bracket, or with a code fence."""

    def __init__(self) -> None:
        self.has_shown = False
        self._held = ""
        self._is_line_start = True
        self._is_over = False

    def take(self, text: str) -> str:
        """What can be shown of `text`, and of what was held before it because it may begin JSON."""
        if self._is_over:
            return ""
        shown = "".join(self._lines(self._held + text))
        if not self.has_shown and not shown.strip():
            return ""  # blank lines before everything
        self.has_shown = True
        return shown

    def _lines(self, text: str) -> Iterator[str]:
        self._held = ""
        for line in re.findall(r"[^\n]*\n|[^\n]+", text):
            if self._is_line_start:
                begins = line.lstrip(" \t")
                if begins.startswith(_OPENINGS):
                    self._is_over = True
                    return
                if begins in _MAYBE_OPENINGS:
                    self._held = line
                    return
            self._is_line_start = line.endswith("\n")
            yield line


def readable(value: Mapping[str, Any]) -> str:
    """A value in Markdown: a list of its fields."""
    return "\n".join(_of_fields(value, 0)) or _NOTHING


def _of_fields(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    for name, item in value.items():
        yield from _of_item(f"**{name}**:", item, depth)


def _of_item(label: str, item: Any, depth: int) -> Iterator[str]:
    begin = "  " * depth + "- " + label
    inside: list[Any] | Mapping[str, Any] | None = item if isinstance(item, list | dict) and item else None
    if inside is None or depth >= _DEEPEST or _is_flat_list(inside):
        yield f"{begin} {_in_line(item)}".replace("-  ", "- ")
    elif isinstance(inside, Mapping):
        yield begin
        yield from _of_fields(inside, depth + 1)
    else:
        yield begin
        for number, part in enumerate(inside, 1):
            is_flat = isinstance(part, dict) and not any(isinstance(each, list | dict) for each in part.values())
            yield from _of_item("" if is_flat else f"{number}.", _fields_in_line(part) if is_flat else part, depth + 1)


def _is_flat_list(item: Any) -> bool:
    return isinstance(item, list) and not any(isinstance(part, list | dict) for part in item)


def _fields_in_line(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {_in_line(item)}" for name, item in fields.items()) or _NOTHING


def _in_line(item: Any) -> str:
    match item:
        case None | [] | {} | "":
            return _NOTHING
        case bool():
            return _("yes") if item else _("no")
        case str():
            return " ".join(item.split())
        case list() if _is_flat_list(item):
            return ", ".join(map(_in_line, item))
        case list() | dict():
            return json.dumps(item, ensure_ascii=False)
    return str(item)
