"""The name that a file is shown by: what a client sent, without what could mislead."""

from __future__ import annotations

import unicodedata

LONGEST = 150
"""Characters; with an ending that is kept."""
_LONGEST_ENDING = 20
NAMELESS = "file"


def clean_name(given: str) -> str:
    """The last part of a path, without control characters and those that turn the order of others. Never empty."""
    name = unicodedata.normalize("NFC", given.replace("\\", "/").rpartition("/")[2])
    seen = "".join(" " if sign.isspace() else sign for sign in name if sign.isspace() or _is_seen(sign))
    name = " ".join(seen.split()).strip(" .") or NAMELESS
    if len(name) <= LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > _LONGEST_ENDING:
        return name[:LONGEST]
    return f"{stem[: LONGEST - len(ending) - 1]}.{ending}"


def _is_seen(sign: str) -> bool:
    return not unicodedata.category(sign).startswith("C")
