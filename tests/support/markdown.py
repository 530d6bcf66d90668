"""The code blocks of a Markdown page, for tests that do what the page says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]+?) -->\n+)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block. `mark` is what an HTML comment right before it says, `heading` what it stands under."""

    text: str
    language: str
    mark: str
    heading: str
    line: int

    @property
    def commands(self) -> list[str]:
        """The commands of a block of shell, without comments; those that go on over several lines as one."""
        joined = self.text.replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def blocks(page: str | Path, *, language: str | None = None, mark: str | None = None) -> list[Block]:
    """The blocks of a page (a path from the project's root), all of them or those of one language or mark."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        before = text[: match.start()]
        # A line of shell in an earlier block may begin like a heading.
        headings = _HEADING.findall(_BLOCK.sub("", before))
        block = Block(
            match["text"],
            match["language"],
            match["mark"] or "",
            headings[-1] if headings else "",
            before.count("\n") + 1,
        )
        if language in (None, block.language) and mark in (None, block.mark):
            found.append(block)
    return found
