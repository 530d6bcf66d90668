"""The built chat page: what a browser loads before it shows something, and that nothing is asked of other hosts."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from tests.support.paths import ROOT

BUILT = ROOT / "agents/static/console"
FIRST_LOAD_BYTES = 150 * 1024
"""Compressed; formulae are loaded when one comes."""
STATIC_IMPORT = re.compile(r"""\b(?:from|import)\s*["'](\.{1,2}/[^"']+)["']""")
LOADED_FROM = re.compile(r"""\b(?:from|import|fetch|importScripts|url)\s*\(?\s*["']?(?:https?:)?//""")


def first_load(entry: Path) -> set[Path]:
    """A file with all that it imports before it runs; what it imports later, as by `import("./x.js")`, is not part."""
    found, waiting = set(), [entry]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [(path.parent / name).resolve() for name in STATIC_IMPORT.findall(path.read_text("utf-8"))]
    return found


def test_the_first_load_is_small():
    files = first_load(BUILT / "page.js") | {BUILT / "page.css"}
    assert BUILT / "element.js" in files
    sizes = {path.name: len(gzip.compress(path.read_bytes(), mtime=0)) for path in files}
    assert sum(sizes.values()) <= FIRST_LOAD_BYTES, sizes


def test_nothing_is_loaded_from_another_host():
    for path in [*BUILT.rglob("*.js"), *BUILT.rglob("*.css")]:
        assert not LOADED_FROM.search(path.read_text("utf-8")), path.name
