"""Markdown as it looks in a conversation."""

from __future__ import annotations

from typing import ClassVar

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, Paragraph, TableElement
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax
from rich.table import Table
from rich.theme import Theme

from myagent.terminal.safe_text import plain
from myagent.terminal.wrapping import Wrapped

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


class _Heading(Heading):
    """At the left, as in a text that one reads; rich centres it, in a box."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.stylize("bold underline" if self.tag == "h1" else "bold")
        yield Wrapped(self.text)


class _Paragraph(Paragraph):
    """With its lines broken as Chinese wants it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Wrapped(self.text)


class _Table(TableElement):
    """With everything in it; rich cuts off what has no space to be broken at, as Chinese has none."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=box.SIMPLE, show_edge=False, style="dim", collapse_padding=True)
        for cell in self.header.row.cells if self.header is not None and self.header.row is not None else ():
            cell.content.stylize("bold")
            table.add_column(Wrapped(cell.content), justify=cell.justify, overflow="fold")
        for row in self.body.rows if self.body is not None else ():
            table.add_row(*(Wrapped(cell.content) for cell in row.cells))
        yield table


class _Code(CodeBlock):
    """In the terminal's own colours, which can be read on light and on dark."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        yield Syntax(code, self.lexer_name, theme=CODE_THEME, word_wrap=True, padding=(0, 1))


class AnswerMarkdown(Markdown):
    """Markdown of the agent, fit for a terminal; addresses of links are shown and not hidden behind their words."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "paragraph_open": _Paragraph,
        "table_open": _Table,
        "fence": _Code,
        "code_block": _Code,
    }

    def __init__(self, source: str) -> None:
        super().__init__(plain(source), hyperlinks=False)
