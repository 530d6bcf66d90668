"""Breaking lines where Chinese, Japanese and Korean allow it: between any two characters, but not before a comma.

rich breaks lines at spaces alone, so a Chinese sentence behind an English word goes to the next line as a whole.
"""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_WIDE = "\u2e80-\u3000\u3003-\u3007\u3012\u3013\u3021-\ua4cf\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003fffd"
_OPENING = "（［｛《〈「『【〔“‘"
_CLOSING = "），。、；：！？》〉」』】〕”’…—～％｝］"
_UNIT = re.compile(
    rf"\s*[{_OPENING}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPENING}{_CLOSING}]+)[{_CLOSING}]*\s*|\s*[{_OPENING}{_CLOSING}]+\s*|\s+"
)


def break_offsets(text: str, width: int) -> list[int]:
    """Where a line of text is to be broken so that each part takes at most `width` columns."""
    offsets: list[int] = []
    used = 0
    for unit in _UNIT.finditer(text):
        word = unit[0]
        inked = cell_len(word.rstrip())
        if used and used + inked > width:
            offsets.append(unit.start())
            used = 0
        if inked > width:
            parts = chop_cells(word, width)
            start = unit.start()
            for part in parts[:-1]:
                start += len(part)
                offsets.append(start)
            word = parts[-1]
        used += cell_len(word)
    return offsets


class Wrapped:
    """Text with lines broken in this way."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        lines: list[Text] = []
        for line in self.text.split(allow_blank=True):
            line.expand_tabs(4)
            for part in line.divide(break_offsets(line.plain, width)):
                part.rstrip_end(width)
                lines.append(part)
        yield Text("\n", no_wrap=True, end=self.text.end).join(lines)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        narrowest = max((cell_len(unit[0].strip()) for unit in _UNIT.finditer(self.text.plain)), default=0)
        widest = max((cell_len(line) for line in self.text.plain.splitlines()), default=0)
        return Measurement(narrowest, widest)
