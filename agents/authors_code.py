"""Which line of an author's code is to blame, where the stack also holds that of libraries and our own."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

_HERE = Path(__file__).resolve().parent.parent
_NOT_AUTHORS = (
    *(str(_HERE / package) + "/" for package in ("myagent", "agents", "sessions_app", "myagent_site")),
    str(_HERE / "manage.py"),
    *{sysconfig.get_path(name) + "/" for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    "<",  # such as <frozen importlib._bootstrap>
)


def is_authors(file: str) -> bool:
    """Whether a file of code is neither ours nor a library's."""
    return not file.startswith(_NOT_AUTHORS)


def authors_place(frame: FrameType | None) -> str:
    """File and line of the innermost frame of an author's code, or of the innermost one if there is none."""
    frames = list(_outwards(frame))
    found = next((each for each in frames if is_authors(each.f_code.co_filename)), frames[0] if frames else None)
    return f"{found.f_code.co_filename}:{found.f_lineno}" if found is not None else "(unknown)"


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
