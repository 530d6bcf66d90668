"""Labelled rows for a terminal of any width: sentences are broken between words, what is copied as a whole is not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.style import Style
from rich.text import Text

_INDENT = 3
_LABEL = 14
_NARROWEST = 24
"""Columns for values; on a terminal that leaves less, values go below their labels."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row. `whole` is for URLs and commands; `link` is where a click on the value leads, where clicks work."""

    label: str = ""
    value: str = ""
    whole: bool = False
    link: str | None = None
    style: str = ""


def console_for_rows() -> Console:
    """Standard output; no line is broken by the console itself."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def lay_out(rows: Iterable[Row], console: Console, environment: Mapping[str, str] = os.environ) -> Iterator[Text]:
    """The lines of the rows; where the output is no terminal, each row is one line."""
    width = console.width if console.is_terminal else None
    links = takes_links(console, environment)
    for row in rows:
        yield from _lines(row, width, links)


def hanging(sign: str, text: str, console: Console) -> Iterator[Text]:
    """The lines of a text behind a sign; on a terminal all of them begin at one column."""
    indent = Text(sign).cell_len
    for paragraph in text.splitlines():
        room = max(console.width - indent, _NARROWEST) if console.is_terminal else None
        for line in _wrapped(Row(value=paragraph.strip()), room):
            yield Text(sign + line)
            sign = " " * indent


def takes_links(console: Console, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal shows hyperlinks (OSC 8), or at least nothing in their place.

    Nearly all do; the Linux console and dumb ones would show their bytes.
    """
    return console.is_terminal and environment.get("TERM", "dumb") not in ("dumb", "linux", "unknown")


def _lines(row: Row, width: int | None, links: bool) -> Iterator[Text]:
    label = Text(f"{' ' * _INDENT}{row.label}", style="cyan")
    style = Style.parse(row.style) + Style(link=row.link if links else None)
    room = None if width is None else width - _INDENT - _LABEL
    if room is not None and (room < _NARROWEST or (row.whole and Text(row.value).cell_len > room)):
        room = max((width or 0) - _INDENT, _NARROWEST)
        if row.label:
            yield label
        label = Text(" " * _INDENT)
    else:
        label.append(" " * max(_LABEL + _INDENT - label.cell_len, 1))
    yield from _below(label, _wrapped(row, room), style)


def _wrapped(row: Row, room: int | None) -> list[str]:
    if room is None or row.whole:
        return [row.value]
    return [line.plain.rstrip() for line in Text(row.value).wrap(Console(width=room), room)] or [""]


def _below(label: Text, values: list[str], style: Style) -> Iterator[Text]:
    for value in values:
        yield Text.assemble(label, (value, style))
        label = Text(" " * label.cell_len)
