"""Layout of text and Markdown on a terminal.

rich breaks lines at spaces alone, so a Chinese sentence behind an English word would go to the next line as a whole.
Here lines break where Chinese, Japanese and Korean allow it: between any two characters, but not before a comma.
"""

from __future__ import annotations

import re
from typing import ClassVar

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, Paragraph, TableElement
from rich.measure import Measurement
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from myagent.terminal.safe_text import plain

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


THEME = Theme({"markdown.code": "cyan", "markdown.block_quote": "dim", "markdown.item.number": "bold"})
"""For the console; rich's own has code on black."""
CODE_THEME = ANSISyntaxTheme(
    {
        ("Comment",): Style(dim=True),
        ("Keyword",): Style(color="magenta"),
        ("Operator", "Word"): Style(color="magenta"),
        ("Literal", "String"): Style(color="green"),
        ("Literal", "Number"): Style(color="cyan"),
        ("Name", "Builtin"): Style(color="cyan"),
        ("Name", "Function"): Style(bold=True),
        ("Name", "Class"): Style(bold=True),
        ("Name", "Tag"): Style(color="magenta"),
        ("Name", "Attribute"): Style(color="cyan"),
        ("Generic", "Deleted"): Style(color="red"),
        ("Generic", "Inserted"): Style(color="green"),
        ("Generic", "Heading"): Style(bold=True),
    }
)


class _WrappedHeading(Heading):
    """At the left, as in a text that one reads; rich centres it, in a box."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.stylize("bold underline" if self.tag == "h1" else "bold")
        yield Wrapped(self.text)


class _WrappedParagraph(Paragraph):
    """With line breaks as Chinese needs them."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Wrapped(self.text)


class _WrappedTable(TableElement):
    """With everything in it; rich cuts off what has no space to be broken at, as Chinese has none."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=box.SIMPLE, show_edge=False, style="dim", collapse_padding=True)
        for cell in self.header.row.cells if self.header is not None and self.header.row is not None else ():
            cell.content.stylize("bold")
            table.add_column(Wrapped(cell.content), justify=cell.justify, overflow="fold")
        for row in self.body.rows if self.body is not None else ():
            table.add_row(*(Wrapped(cell.content) for cell in row.cells))
        yield table


class _WrappedCode(CodeBlock):
    """In the terminal's own colours, which can be read on light and on dark."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        yield Syntax(code, self.lexer_name, theme=CODE_THEME, word_wrap=True, padding=(0, 1))


class AnswerMarkdown(Markdown):
    """Markdown of the agent, fit for a terminal; addresses of links are shown and not hidden behind their words."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _WrappedHeading,
        "paragraph_open": _WrappedParagraph,
        "table_open": _WrappedTable,
        "fence": _WrappedCode,
        "code_block": _WrappedCode,
    }

    def __init__(self, source: str) -> None:
        super().__init__(plain(source), hyperlinks=False)
