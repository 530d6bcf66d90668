"""Python's search path, put in order when a module of ours is the program; imported before everything else.

`python -m myagent.cli.server` puts the current folder in front of all libraries. A file of an author there, named
`json.py` or `channels.py`, would be imported in the place of one. The folder goes to the end: its other files can be
imported.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

_SERVER = ("agents", "sessions_app", "myagent_site")


def _is_our_program() -> bool:
    """Whether Python is just looking for a module of ours that it was told to run."""
    return sys.argv[:1] == ["-m"] and any(word.removeprefix("-m").startswith("myagent.") for word in sys.orig_argv)


def _holds_ourselves(folder: str) -> bool:
    """Whether this package was found in `folder`: then that is a checkout of ours, and no author's."""
    return Path(__file__).resolve().parents[2] == Path(folder).resolve()


if _is_our_program() and not sys.flags.safe_path and not _holds_ourselves(sys.path[0]):
    _folder = sys.path.pop(0)
    # An editable installation is searched after the whole path, so its empty packages are found now.
    for _package in _SERVER:
        import_module(_package)
    sys.path.append(_folder)
