"""Starting the server again when an agent's files change."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from agents.loading import stale_bytecode
from agents.loading.agent_folders import folders
from agents.loading.loader import is_module_name
from agents.loading.sources import is_folder

logger = logging.getLogger("myagent.agents")

POLL_SECONDS = 1.0
Stamp = tuple[int, int]


class SourceWatcher:
    """Watches agent files, and the modules that were imported from their folders, by their times and sizes.

    Of a folder that was given as such every Python file counts, new ones as well.
    """

    def __init__(self, sources: Sequence[str], *, poll_seconds: float = POLL_SECONDS) -> None:
        self.changed = False
        self._folders = {Path(source).absolute() for source in sources if is_folder(source)}
        files = (Path(source).absolute() for source in sources if not is_module_name(source))
        self._files = set(files) - self._folders
        self._poll_seconds = poll_seconds
        self._seen = self._stamps()
        self._stop = threading.Event()

    def start(self, on_change: Callable[[], None]) -> None:
        """Watch in a thread; `on_change` is called there, once, when there is something new that compiles."""
        threading.Thread(target=self._watch, args=(on_change,), name="myagent-reload", daemon=True).start()

    def wait(self) -> None:
        """Return when a file has changed and compiles."""
        while not self._stop.wait(self._poll_seconds):
            if self.look():
                return

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()

    def look(self) -> bool:
        """Look once: whether files changed since the last look, and all of them compile."""
        now = self._stamps()
        # A module that is new here was imported meanwhile, which is no change.
        changed = [file for file, stamp in self._seen.items() if now.get(file) != stamp]
        changed += [file for file in now.keys() - self._seen.keys() if file.parent in self._folders]
        self._seen = now
        if not changed:
            return False
        broken = [file for file in changed if not _compiles(file)]
        if broken:
            return False
        for file in changed:
            stale_bytecode.forget(file)
        logger.info("Changed: %s. Restarting the server.", ", ".join(map(str, sorted(changed))))
        self.changed = True
        return True

    def _watch(self, on_change: Callable[[], None]) -> None:
        self.wait()
        if self.changed:
            on_change()

    def _stamps(self) -> dict[Path, Stamp | None]:
        found = {file for folder in self._folders for file in folder.glob("*.py")}
        return {file: _stamp(file) for file in self._files | found | set(folders.modules().values())}


def _stamp(file: Path) -> Stamp | None:
    try:
        status = file.stat()
    except OSError:
        return None  # deleted, or just being replaced by an editor
    return status.st_mtime_ns, status.st_size


def _compiles(file: Path) -> bool:
    try:
        compile(file.read_bytes(), file, "exec")
    except OSError as error:
        logger.error("%s cannot be read, so the old version stays in use: %s", file, error)
        return False
    except (SyntaxError, ValueError) as error:
        logger.error("%s has an error, so the old version stays in use: %s", file, error)
        return False
    return True


def restart(*, port: int | None = None) -> None:
    """Replace this process by a new one with the same arguments; `port` is given so that it stays the same."""
    arguments = [sys.executable, *sys.orig_argv[1:]]
    if port is not None:
        arguments += ["--port", str(port)]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, arguments)
