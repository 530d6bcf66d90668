"""The end of the output, redrawn in place."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.segment import ControlType, Segment

Lines = list[list[Segment]]


class Rows:
    """Lines that are rendered already."""

    def __init__(self, lines: Sequence[list[Segment]], *, ends_line: bool = True) -> None:
        self._lines = lines
        self._ends_line = ends_line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self._lines):
            if number:
                yield Segment.line()
            yield from line
        if self._ends_line:
            yield Segment.line()


class Region:
    """Some lines below everything that was printed. Erase it before something else is printed.

    rich's own `Live` counts lines and not rows: when a window is made narrower, which breaks lines in two, it leaves
    parts of them behind.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._widths: list[int] = []
        self._is_hidden = False

    def draw(self, lines: Lines) -> None:
        """Put these lines in the place of those that are there; the cursor is hidden until `rest`."""
        with self._console:  # all in one go, so that nothing flickers
            self._hide_cursor(True)
            self.erase()
            if lines:
                self._console.print(Rows(lines, ends_line=False), end="", crop=False)
        self._widths = [Segment.get_line_length(line) for line in lines]

    def erase(self) -> None:
        """Take the lines away."""
        if rows := rows_taken(self._widths, self._console.width):
            erased = (ControlType.ERASE_IN_LINE, 2)
            up = [(ControlType.CURSOR_UP, 1), erased] * (rows - 1)
            self._console.control(Control(ControlType.CARRIAGE_RETURN, erased, *up))
        self._widths = []

    def rest(self) -> None:
        """Take the lines away and show the cursor again."""
        self.erase()
        self._hide_cursor(False)

    def _hide_cursor(self, hidden: bool) -> None:
        if self._is_hidden != hidden:
            self._is_hidden = hidden
            self._console.show_cursor(not hidden)


def rows_taken(widths: Sequence[int], columns: int) -> int:
    """The rows that lines of these widths take on a screen so wide."""
    return sum(max(ceil(width / columns), 1) for width in widths)
