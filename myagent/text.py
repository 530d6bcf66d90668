"""Cleans and shortens text, so that it can be stored, sent and shown."""

from __future__ import annotations

import json
import re
import unicodedata
from decimal import Decimal
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# One JSON escape at a time, from the left, so that the second half of an escaped backslash is never taken for one.
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_UNSTORABLE_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})")
_SHORT_ID = 8
_SLICE = 65_536
_PIECE = re.compile(r"[\x00-\x7f]{1,8}|[^\x00-\x7f]{1,3}")


def clean(text: str) -> str:
    """`text` with U+FFFD for U+0000 and lone surrogates, which PostgreSQL and UTF-8 cannot represent."""
    if "\x00" not in text:
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    # In slices, as other threads wait while a regular expression works.
    slices = (text[start : start + _SLICE] for start in range(0, len(text), _SLICE))
    return "".join(_UNSTORABLE.sub(REPLACEMENT, part) for part in slices)


def clean_json(text: str) -> str:
    """JSON text, cleaned as `clean` does it, in its `\\u` escapes too; anything else stays as it was written."""
    if "\\u" in text:
        text = _ESCAPE.sub(_clean_escape, text)
    return clean(text)


def _clean_escape(match: re.Match[str]) -> str:
    return r"\ufffd" if _UNSTORABLE_ESCAPE.fullmatch(match[0]) else match[0]


def clean_value(value: Any) -> Any:
    """A JSON value with every text in it, keys as well, cleaned as `clean` does it."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [clean_value(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean_value(item) for key, item in value.items()}
    return value


def shorten(text: str, limit_bytes: int) -> tuple[str, bool]:
    """The beginning of `text` that takes at most `limit_bytes` bytes as UTF-8, and whether anything was cut off."""
    if len(text) * 4 <= limit_bytes:
        return text, False
    raw = text.encode(errors="replace")
    if len(raw) <= limit_bytes:
        return text, False
    return raw[:limit_bytes].decode(errors="ignore"), True


def pieces(text: str) -> list[str]:
    """`text` in small pieces, as a model would stream it: a few letters, or up to three Chinese characters."""
    return _PIECE.findall(text)


def short_id(identifier: object) -> str:
    """The beginning of an id, as all log lines show it, so that one search finds them."""
    return str(identifier)[:_SHORT_ID]


_HIDDEN_KINDS = frozenset({"Cc", "Cf", "Zl", "Zp", "Co", "Cs"})
_ALSO_HIDDEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2065\u3164\uffa0\u180b\u180c\u180d\u180f")
_SEEN = frozenset("\t\n\ufe0e\ufe0f")
"""Line ends and tabs; and what says whether the sign before it is shown as an emoji."""


def with_marks(text: str) -> str:
    """A text that somebody decides by, with a mark such as ⟨U+202E⟩ for each character that nobody sees or that turns
    the order of those around it: one of these could make a call look like another one.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\u27e8U+{ord(sign):04X}\u27e9" if _is_hidden(sign) else sign for sign in text)


def with_escapes(json_text: str) -> str:
    """JSON to be edited, with escapes for these characters: it stays the same value."""
    if json_text.isascii() and json_text.isprintable():
        return json_text
    return "".join(json.dumps(sign)[1:-1] if _is_hidden(sign) else sign for sign in json_text)


def _is_hidden(sign: str) -> bool:
    if sign in _SEEN:
        return False
    is_selector = "\ufe00" <= sign <= "\ufe0d" or "\U000e0000" <= sign <= "\U000e0fff"
    return is_selector or sign in _ALSO_HIDDEN or unicodedata.category(sign) in _HIDDEN_KINDS


def money(amount: float | Decimal, currency: str) -> str:
    """An amount for people: with two decimals, or as many as its first two digits need, and the currency behind it."""
    exact = Decimal(str(amount))
    places = min(max(2, 1 - exact.adjusted()), 9) if exact else 2
    return f"{exact:,.{places}f} {currency}"
