"""What was typed before, kept for the arrow keys."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

logger = logging.getLogger("myagent.terminal")


def history_file() -> Path:
    """The file of the person who sits here, in the folder that their system has for such data."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "myagent" / "history"


def open_history(path: Path) -> History:
    """The history in a file that nobody else can read; one that is forgotten at the end where there can be no file."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        logger.debug("What is typed is not kept: %s", error)
        return InMemoryHistory()
    return _History(str(path))


class _History(FileHistory):
    def store_string(self, string: str) -> None:
        try:
            super().store_string(string)
        except OSError as error:  # a full disk is no reason not to send the message
            logger.debug("What was typed is not kept: %s", error)
