"""What a docstring says about a function and its parameters, in the styles of Google, NumPy, Sphinx and epytext.

What is not understood stays in the text, so that the model is told of it all the same.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from myagent.tool.docstring_lines import (
    Described,
    Kind,
    bare_heading,
    heading,
    is_entry_of_another,
    is_underline,
    read_entry,
    read_field,
)
from myagent.tool.signature import code_of


def docstring_of(function: Callable[..., Any]) -> str | None:
    """The docstring of a function, or of what was written below functools.partial and decorators."""
    own = inspect.getdoc(function) if inspect.isroutine(function) else None
    return own or inspect.getdoc(code_of(function))


def read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The text of `function`'s docstring without what it says of parameters, and that by their names."""
    docstring = docstring_of(function)
    try:
        names = inspect.signature(code_of(function)).parameters
    except (TypeError, ValueError):
        return docstring or "", {}
    return split_docstring(docstring, names)


def split_docstring(docstring: str | None, names: Collection[str] | None = None) -> tuple[str, dict[str, str]]:
    """The text outside of the sections, and the description of each parameter by name.

    What is said of others than `names` stays in the text; without `names` any name is a parameter's.
    """
    reader = _Reader(inspect.cleandoc(docstring or "").splitlines(), names)
    reader.read()
    return reader.text, {name: _joined(lines) for name, lines in reader.descriptions.items()}


class _Section:
    """The section that is being read: where its lines go."""

    def __init__(self, kind: Kind, head: list[str], indent: int) -> None:
        self.kind = kind
        self.head = head
        self.indent = indent
        self.is_underlined = len(head) > 1
        self.entry_indent: int | None = None
        self.body_is_flat: bool | None = None
        self.after_blank = False
        self.unread: list[str] = []
        self.current: list[str] = self.unread


class _Reader:
    """Goes through the lines once. `text` and `descriptions` are what it found."""

    def __init__(self, lines: Sequence[str], names: Collection[str] | None) -> None:
        self.descriptions: dict[str, list[str]] = {}
        self._lines = lines
        self._names = names
        self._text: list[str] = []
        self._section: _Section | None = None
        self._field: tuple[int, list[str]] | None = None

    @property
    def text(self) -> str:
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._text)).strip()

    def read(self) -> None:
        at = 0
        while at < len(self._lines):
            at += self._take(self._lines[at], self._lines[at + 1] if at + 1 < len(self._lines) else "")
        self._end_section()

    def _take(self, line: str, below: str) -> int:
        """Read a line; returns how many were read."""
        indent = len(line) - len(line.lstrip())
        if self._continues_field(line, indent):
            return 1
        said = read_field(line, self._names)
        if said is not None:
            self._end_section()
            self._field = (indent, self._begin(said) if isinstance(said, Described) else [])
            return 1
        kind = heading(line, below) or self._unmarked_heading(line, below)
        if kind is not None and not self._is_deep(indent):
            self._end_section()
            underlined = is_underline(below)
            self._section = _Section(kind, [line, below] if underlined else [line], indent)
            return 2 if underlined else 1
        if self._section is not None and is_underline(below):
            self._end_section()
        if self._section is None or not self._belongs(self._section, line, indent, below):
            self._end_section()
            self._text.append(line.rstrip())
        return 1

    def _unmarked_heading(self, line: str, below: str) -> Kind | None:
        kind = bare_heading(line)
        if self._names is None or kind != "arguments" or read_entry(line, self._names) is not None:
            return None
        return kind if read_entry(below, self._names) is not None else None

    def _is_deep(self, indent: int) -> bool:
        """Whether a line so far to the right is part of an entry, be it worded like a heading."""
        section = self._section
        return section is not None and section.entry_indent is not None and indent >= max(1, section.entry_indent)

    def _continues_field(self, line: str, indent: int) -> bool:
        if self._field is None:
            return False
        if line.strip() and indent <= self._field[0]:
            self._field = None
            return False
        self._field[1].append(line.strip())
        return True

    def _belongs(self, section: _Section, line: str, indent: int, below: str) -> bool:
        """Put a line into the section, if it is part of it."""
        if not line.strip():
            section.current.append("")
            section.after_blank = True
            return True
        if section.kind == "left_out":
            if section.body_is_flat is None:
                section.body_is_flat = indent <= section.indent
            belongs = indent > section.indent or (section.body_is_flat and not section.after_blank)
        else:
            belongs = self._is_about_arguments(section, line, indent, below)
        section.after_blank = False
        return belongs

    def _is_about_arguments(self, section: _Section, line: str, indent: int, below: str) -> bool:
        inside = indent > section.indent
        at_entries = indent == (indent if section.entry_indent is None else section.entry_indent)
        may_be_flat = section.is_underlined or self._names is not None
        if at_entries and (inside or (may_be_flat and indent == section.indent)):
            entry = read_entry(line, self._names)
            if entry is not None and (
                entry.text or _is_alone(line) or section.is_underlined or _indent(below) > indent
            ):
                section.entry_indent = indent
                section.current = self._begin(_without_type(entry, below, indent) if section.is_underlined else entry)
                return True
        if at_entries and (inside or section.is_underlined) and is_entry_of_another(line):
            section.current = section.unread
        elif not inside and indent <= (section.entry_indent or 0):
            return False
        section.current.append(line.rstrip() if section.current is section.unread else line.strip())
        return True

    def _begin(self, entry: Described) -> list[str]:
        lines = [entry.text]
        for name in entry.names:
            self.descriptions[name] = lines
        return lines

    def _end_section(self) -> None:
        section, self._section = self._section, None
        if section is not None and section.kind == "arguments" and any(section.unread):
            self._text += [*section.head, *section.unread]
        elif section is not None:
            self._text.append("")


def _is_alone(line: str) -> bool:
    """Whether a name stands alone with its colon: its description is below it, or it has none."""
    return line.rstrip().endswith((":", "："))


def _without_type(entry: Described, below: str, indent: int) -> Described:
    """NumPy's style has the type behind the colon, and the description below it."""
    is_type = _indent(below) > indent or " " not in entry.text
    return Described(entry.names, "" if is_type else entry.text)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) if line.strip() else 0


def _joined(lines: Sequence[str]) -> str:
    """The lines of a description as one, but for lists."""
    text = ""
    for line in filter(None, lines):
        text += (("\n" if re.match(r"[-*+•]\s", line) else " ") if text else "") + line
    return text
