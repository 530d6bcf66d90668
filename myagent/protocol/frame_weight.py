"""How many values a frame holds and how deeply they are nested, found out before it is parsed.

A parser makes an object of each value, so that few megabytes can keep it busy for a second. Only the text is looked at
here, by functions that take a few milliseconds for the largest frame. What stands in strings does not count.
"""

from __future__ import annotations

from myagent.i18n import gettext as _

MAX_VALUES = 100_000
"""Values in a frame of a client: objects, lists, texts, numbers and the rest, at all levels; without keys."""
MAX_DEPTH = 100
"""Levels of objects and lists in a frame of a client."""

_SPACE = b" \t\r\n"
_AS_ONE_KIND = bytes.maketrans(b"[]", b"{}")
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class TooManyValues(ValueError):
    """The frame holds more values than are parsed."""

    def __init__(self) -> None:
        super().__init__(_("The request holds more than %(limit)s values.") % {"limit": f"{MAX_VALUES:,}"})


class TooDeep(ValueError):
    """The frame is nested so deeply that it could be read but not written again: orjson writes up to 254 levels."""

    def __init__(self) -> None:
        super().__init__(_("it is nested more than %(depth)d levels deep") % {"depth": MAX_DEPTH})


class UnmatchedBrackets(ValueError):
    """The frame is no JSON."""

    def __init__(self) -> None:
        super().__init__(_("its brackets do not match"))


def may_hold(frame: str) -> int:
    """At least as many values as `frame` holds: found out at once, with what its strings hold counted in."""
    return 1 + frame.count(",") + _openings(frame)


def check_weight(frame: str) -> None:
    """Raise `TooManyValues`, or another `ValueError` for nesting that cannot be read or not be written again.

    It is no parser: most of what is no JSON passes.
    """
    if _openings(frame) <= MAX_DEPTH and may_hold(frame) <= MAX_VALUES:
        return
    outside = _without_strings(frame)
    if _openings_of(outside) > 2 * MAX_VALUES:  # below that, what is wrong with the nesting is the better answer
        raise TooManyValues
    _check_nesting(outside)
    if _count(outside) > MAX_VALUES:
        raise TooManyValues


def _openings(frame: str) -> int:
    return frame.count("{") + frame.count("[")


def _openings_of(outside: bytes) -> int:
    return outside.count(b"{") + outside.count(b"[")


def _without_strings(frame: str) -> bytes:
    """`frame` without spaces and with a single quotation mark for each string. Raises `TooManyValues`."""
    raw = frame.encode(errors="replace")
    if b"\\" in raw:
        # Pairs first, from the left: what escapes a quotation mark then is a backslash that is not escaped itself.
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Each value brings two strings at most, its key and itself. Counted before there is a list of them.
    if raw.count(b'"') > 2 * 2 * (MAX_VALUES + 1):
        raise TooManyValues
    return b'"'.join(raw.split(b'"')[::2]).translate(None, _SPACE)


def _count(outside: bytes) -> int:
    """A value is the frame itself, or the first in what is not empty, or it stands behind a comma."""
    empty = outside.count(b"{}") + outside.count(b"[]")
    return 1 + outside.count(b",") + _openings_of(outside) - empty


def _check_nesting(outside: bytes) -> None:
    brackets = outside.translate(_AS_ONE_KIND, _ALL_BUT_BRACKETS)
    for _level in range(MAX_DEPTH):
        rest = brackets.replace(b"{}", b"")
        if len(rest) == len(brackets):
            break
        brackets = rest
    if brackets:
        raise TooDeep if b"{}" in brackets else UnmatchedBrackets
