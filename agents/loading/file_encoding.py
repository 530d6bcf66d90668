"""In which encoding a file is that Python cannot read, because it is not UTF-8."""

from __future__ import annotations

import codecs
from importlib.util import decode_source
from pathlib import Path

_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def wrong_encoding(file: Path) -> str | None:
    """The encoding that a file seems to be in, empty when there is no telling; None when Python can read it."""
    try:
        source = file.read_bytes()
    except OSError:
        return None
    for mark, name in _MARKS.items():
        if source.startswith(mark):
            return name
    if source.count(0) > len(source) // 3:
        return "UTF-16"  # without a mark; of what is ASCII otherwise every second byte is empty
    try:
        decode_source(source)
    except (UnicodeDecodeError, SyntaxError) as error:
        if "unknown encoding" in str(error):
            return None  # the file names one itself, and Python says so
        return "GBK" if _is_text(source, "gb18030") else ""
    return None


def _is_text(source: bytes, encoding: str) -> bool:
    try:
        source.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
