"""The folders of agent files on Python's import path, and the watch that keeps their modules apart.

Python knows a module by its name alone: when two folders both hold `tools.py`, the second agent would silently get
the first one's tools. So that is refused, at the moment such a module is imported, however late that is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from agents.exceptions import ModuleNameTaken


class AmbiguousModule(ImportError):
    """An agent imported a module whose name two agents' folders hold."""

    def __init__(self, name: str, first: Path, second: Path) -> None:
        self.paths = (first, second)
        super().__init__(f"Two agents' folders hold a module {name!r}: {first} and {second}", name=name)


def module_file(module: ModuleType | None) -> Path | None:
    """The file that a module was read from, or None for built-in ones."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def _held_in(folder: Path, name: str) -> Path | None:
    """The file in `folder` that `import name` would read, if there is one."""
    for candidate in (folder / f"{name}.py", folder / name / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


class AgentFolders(MetaPathFinder):
    """Finds nothing itself: it only refuses names that more than one agent folder holds."""

    def __init__(self) -> None:
        self._folders: list[Path] = []

    def add(self, folder: Path) -> None:
        """Put `folder` on the import path, for good. Raises `ModuleNameTaken`."""
        if folder in self._folders:
            return
        self._check_imported(folder)
        self._folders.append(folder)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        if str(folder) not in sys.path:
            # In front, as Python does with the folder of a script, but behind the folders of earlier agents.
            sys.path.insert(len(self._folders) - 1, str(folder))

    def contains(self, file: Path) -> bool:
        """Whether `file` lies in a folder of an agent, or below."""
        return any(file.is_relative_to(folder) for folder in self._folders)

    def modules(self) -> dict[str, Path]:
        """The modules that were imported from agents' folders, and their files."""
        files = {name: module_file(module) for name, module in list(sys.modules.items())}
        return {
            name: file
            for name, file in files.items()
            if file is not None and self.contains(file) and "site-packages" not in file.parts
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None and len(self._folders) > 1:
            held = [file for folder in self._folders if (file := _held_in(folder, fullname))]
            if len(held) > 1:
                raise AmbiguousModule(fullname, held[0], held[1])
        return None

    def forget(self) -> None:
        """Take every folder off the import path again, and what was imported from there out of memory."""
        for name in self.modules():
            sys.modules.pop(name, None)
        sys.path[:] = [entry for entry in sys.path if Path(entry) not in self._folders]
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        self._folders.clear()

    def _check_imported(self, folder: Path) -> None:
        for name, file in self.modules().items():
            held = _held_in(folder, name) if "." not in name else None
            if held is not None and held.resolve() != file:
                raise ModuleNameTaken(name, str(file), str(held))


folders = AgentFolders()
