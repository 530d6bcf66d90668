"""What a docstring says about a function and its parameters, in Google's or Sphinx's style."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?):$")
_ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_FIELD = re.compile(r"^:(\w+)(?:\s+[^:]*?(\w+))?\s*:\s*(.*)$")
_ARGUMENTS = {"Args", "Arguments", "Parameters"}


def docstring_of(function: Callable[..., Any]) -> str | None:
    """The docstring of a function; that of an object is its class's, such as functools.partial's, and tells nothing."""
    return inspect.getdoc(function) if inspect.isroutine(function) else None


def split_docstring(docstring: str | None) -> tuple[str, dict[str, str]]:
    """The text outside of the sections, and the description of each parameter by name."""
    summary: list[str] = []
    parameters: dict[str, list[str]] = {}
    current = summary
    in_arguments = False
    entry_indent: int | None = None
    for line in inspect.cleandoc(docstring or "").splitlines():
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if indent == 0 and (found := _SECTION.match(text)):
            in_arguments, entry_indent, current = found[1] in _ARGUMENTS, None, []
            continue
        if indent == 0 and (found := _FIELD.match(text)):
            in_arguments, current = False, [found[3]]
            if found[1] == "param" and found[2]:
                parameters[found[2]] = current
            continue
        if indent == 0 and text:
            in_arguments, current = False, summary
        elif in_arguments and indent == (entry_indent or indent) and (found := _ENTRY.match(text)):
            entry_indent = indent
            current = parameters[found[1]] = [found[2]]
            continue
        current.append(text)
    return "\n".join(summary).strip(), {name: " ".join(filter(None, lines)) for name, lines in parameters.items()}
