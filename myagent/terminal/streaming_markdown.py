"""Markdown that is still being streamed: which part of it is final and can be printed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from markdown_it import MarkdownIt


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


def split(source: str) -> tuple[str, str]:
    """`source` as what cannot change any more, whatever follows, and the rest: the last block of it.

    A line that has no end yet is left out, since "2" may become "2. second", which belongs to the list before it.
    """
    whole, _newline, last = source.rpartition("\n")
    lines = f"{whole}\n".splitlines(keepends=True) if _newline else []
    begins = [token.map[0] for token in _parser().parse("".join(lines)) if token.level == 0 and token.map]
    if not begins or begins[-1] == 0:
        return "", source
    finished = "".join(lines[: begins[-1]])
    return finished, source[len(finished) :]


def ending(source: str, count: int) -> str:
    """A block of at most some `count` lines that looks at its end as `source` does, however long that is."""
    lines = source.splitlines(keepends=True)
    if len(lines) <= count:
        return source
    return "".join([*lines[: _heading(lines)], *lines[-count:]])


def _heading(lines: list[str]) -> int:
    """How many lines at its beginning tell what kind of block it is."""
    first = lines[0].lstrip()
    if first.startswith(("```", "~~~")):
        return 1
    return 2 if "|" in first and set(lines[1].strip()) <= set("|-: ") else 0


class Flow:
    """The text of a step as it grows. What does not fit on the screen is printed for good, block by block."""

    def __init__(self) -> None:
        self.printed = ""
        """What was printed for good of the text."""

    def rest(self, text: str) -> str:
        """What is not printed yet of `text`, all of it when what was printed is not its beginning."""
        return text[len(self.printed) :] if text.startswith(self.printed) else text

    def overflow(self, text: str, fits: Callable[[str], bool]) -> str:
        """What is to be printed now, so that the rest has room: nothing as long as it fits."""
        rest = self.rest(text)
        if fits(rest):
            return ""
        finished, _last = split(rest)
        self.printed += finished
        return finished

    def finish(self, text: str) -> str:
        """What is to be printed at the end of the step, whose text is `text`."""
        rest = self.rest(text)
        self.printed = ""
        return rest

    def is_void_for(self, text: str) -> bool:
        """Whether something was printed that is not the beginning of `text`."""
        return bool(self.printed) and not text.startswith(self.printed)

    def void(self) -> bool:
        """Start again; returns whether something that was printed is void now."""
        had, self.printed = bool(self.printed), ""
        return had
