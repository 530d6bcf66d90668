"""Makes untrusted text safe for a terminal."""

from __future__ import annotations

import json
import re
from typing import Any

from myagent.text import with_marks

# Control characters could move the cursor, change the title or write to the clipboard; marks of direction could make a
# command look like another one. Tabs and line ends stay.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SPACE = re.compile(r"\s+")


def plain(text: str) -> str:
    """`text` without control characters that a terminal would obey."""
    return _UNFIT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """`text` as a single line."""
    return plain(_SPACE.sub(" ", text)).strip()


def gist(value: Any) -> str:
    """A JSON value in a line, with marks for what is hidden in it."""
    if isinstance(value, str):
        return json.dumps(one_line(with_marks(value)), ensure_ascii=False)
    return one_line(with_marks(json.dumps(value, ensure_ascii=False)))


def signature(name: str, arguments: Any) -> str:
    """A call in a line: `name(city="北京", days=3)`."""
    pairs = arguments.items() if isinstance(arguments, dict) else ()
    shown = (f"{one_line(with_marks(key))}={gist(value)}" for key, value in pairs)
    return f"{one_line(with_marks(name))}({', '.join(shown)})"
