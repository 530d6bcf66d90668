"""What a terminal shows as a picture that can be scaled and searched (SVG)."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable
from itertools import groupby

import pyte
from pyte.screens import Char
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.support.terminal import Terminal

# Background, text, the eight colours and the eight bright ones.
THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [(72, 79, 88), (255, 123, 114), (126, 231, 135), (230, 190, 110), (121, 192, 255), (210, 168, 255)]
    + [(118, 227, 234), (201, 209, 217)],
    [(139, 148, 158), (255, 161, 152), (160, 240, 170), (242, 204, 130), (165, 214, 255), (226, 197, 255)]
    + [(179, 240, 255), (255, 255, 255)],
)
_COLOURS = {"brown": "yellow", "brightbrown": "bright_yellow"}
# Without the web font that rich names: pages that show a picture load nothing for it.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
  <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Replacements:
    """What a picture shows in place of what is different each time, or secret."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self._pairs = [(re.compile(pattern), shown) for pattern, shown in pairs]

    def __call__(self, text: Text) -> Text:
        for pattern, shown in self._pairs:
            while (match := pattern.search(text.plain)) and match[0] != shown:
                start, end = match.span()
                style = text.get_style_at_offset(Console(), start)
                text = Text.assemble(text[:start], (shown, style), text[end:])
        return text


def draw(terminal: Terminal, *, title: str, name: str, replacements: Replacements, first: str = "") -> str:
    """The terminal's text as an SVG, from the first line that holds `first`; empty lines at the end are left out."""
    lines = [replacements(line) for line in _lines(terminal.screen)]
    begin = next(number for number, line in enumerate(lines) if line.plain and first in line.plain)
    while lines and not lines[-1].plain.strip():
        lines.pop()
    console = Console(
        record=True, width=terminal.screen.columns, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in lines[begin:]:
        console.print(line, no_wrap=True, overflow="ignore", crop=True, highlight=False)
    picture = console.export_svg(title=title, theme=THEME, code_format=_FORMAT, unique_id=name)
    return re.sub(r'textLength="([\d.]+)"([^>]*)>([^<]*)<', _at_full_width, picture)


def _at_full_width(element: re.Match[str]) -> str:
    """A piece of text with its length in columns; rich counts a Chinese character, which has two, as one."""
    length, attributes, text = element.groups()
    shown = html.unescape(text)
    columns = float(length) / max(len(shown), 1) * cell_len(shown)
    return f'textLength="{columns:g}"{attributes}>{text}<'


def _lines(screen: pyte.HistoryScreen) -> Iterable[Text]:
    for cells in [*screen.history.top, *(screen.buffer[row] for row in range(screen.lines))]:
        text = Text()
        # Characters of each width by themselves, so that each piece is stretched evenly.
        shown = (cells[column] for column in range(screen.columns) if cells[column].data)
        for (look, _width), run in groupby(shown, key=lambda cell: (_style(cell), cell_len(cell.data))):
            text.append("".join(cell.data for cell in run), style=look)
        text.rstrip()
        yield text


def _style(cell: Char) -> Style:
    return Style(
        color=_colour(cell.fg),
        bgcolor=_colour(cell.bg),
        bold=cell.bold,
        italic=cell.italics,
        underline=cell.underscore,
        strike=cell.strikethrough,
        reverse=cell.reverse,
    )


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    if re.fullmatch(r"[0-9a-fA-F]{6}", name):
        return f"#{name}"
    name = _COLOURS.get(name, name)
    return name.replace("bright", "bright_") if name.startswith("bright") and "_" not in name else name
