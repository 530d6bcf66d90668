"""Answers as their model meant them to look. Nothing in them is obeyed: no HTML, no pictures, no scripts in links."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.utils.safestring import SafeString
from markdown_it import MarkdownIt

# A page has several answers; what is beyond this many characters in all is shown as it stands, since hostile text of
# ten thousand characters takes a fifth of a second.
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
    # Pictures would tell their servers who reads what, and carry away whatever a model was made to put into the URL.
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
    parser.enable(["table", "strikethrough"]).disable("image")
    parser.validateLink = is_harmless  # type: ignore[method-assign]  # this is how the package lets it be replaced
    return parser


_PARSER = _parser()


class Markdown:
    """Renders the answers of one page."""

    def __init__(self) -> None:
        self._left = AT_MOST

    def render(self, text: str) -> SafeString | None:
        """`text` as HTML; None where it is to be shown as it stands."""
        self._left -= len(text)
        if self._left < 0:
            return None
        tokens = _PARSER.parse(text)
        for token in tokens:
            for inner in token.children or ():
                if inner.type == "link_open":
                    inner.attrs |= {"rel": "noopener noreferrer nofollow", "target": "_blank"}
        return SafeString(_PARSER.renderer.render(tokens, _PARSER.options, {}))
