"""Answers as rendered Markdown, without what could harm a reader: no HTML, no pictures, no scripts in links."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.utils.safestring import SafeString
from markdown_it import MarkdownIt

# Characters of one page that are rendered; the rest is shown as plain text, because a hostile text of ten thousand
# characters takes a fifth of a second.
AT_MOST = 60_000
_SCHEMES = ("http", "https", "mailto")


def is_harmless(url: str) -> bool:
    """Whether a link may lead there: out of the admin, and to a place and not to a program."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme.lower() in _SCHEMES and bool(parts.netloc or parts.scheme.lower() == "mailto")


def _parser() -> MarkdownIt:
    # A picture would tell its server who reads it, and exfiltrate whatever a model was made to put into its URL.
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
    parser.enable(["table", "strikethrough"]).disable("image")
    parser.validateLink = is_harmless  # type: ignore[method-assign]  # the package's way to replace it
    return parser


_PARSER = _parser()


class Markdown:
    """Renders the answers of one page."""

    def __init__(self) -> None:
        self._left = AT_MOST

    def render(self, text: str) -> SafeString | None:
        """`text` as HTML; None if it must be shown as plain text."""
        self._left -= len(text)
        if self._left < 0:
            return None
        tokens = _PARSER.parse(text)
        for token in tokens:
            for inner in token.children or ():
                if inner.type == "link_open":
                    inner.attrs |= {"rel": "noopener noreferrer nofollow", "target": "_blank"}
        return SafeString(_PARSER.renderer.render(tokens, _PARSER.options, {}))
