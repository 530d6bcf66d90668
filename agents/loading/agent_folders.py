"""The folders of agent files on Python's import path, and the watch that keeps their modules apart.

Python knows a module by its name alone: when two folders both hold `tools.py`, the second agent would silently get
the first one's tools. So that is refused, at the moment such a module is imported, however late that is; files that
no agent imports may have any name. A module that is in memory is imported without asking anybody, so an agent whose
code imports what another folder has there already is refused before it runs.

A file that is named like a module that the server needs itself never takes its place, and an agent whose code imports
it is refused: it may mean either.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from modulefinder import ModuleFinder
from pathlib import Path
from types import ModuleType

from agents.loading.server_modules import found_elsewhere, is_needed, path_without


class AmbiguousModule(ImportError):
    """An agent imported a module whose name two agents' folders hold."""

    def __init__(self, name: str, first: Path, second: Path) -> None:
        self.paths = (first, second)
        super().__init__(f"Two agents' folders hold a module {name!r}: {first} and {second}", name=name)


class NeededModule(ImportError):
    """An agent imports a file of its folder whose name is that of a module, at `theirs`, that the server needs."""

    def __init__(self, name: str, theirs: str, own: Path) -> None:
        self.paths = (theirs, own)
        super().__init__(f"The server needs its own module {name!r} ({theirs}), not {own}", name=name)


def module_file(module: ModuleType | None) -> Path | None:
    """The file that a module was read from, or None for built-in ones."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def held_in(folder: Path, name: str) -> Path | None:
    """The file in `folder` that `import name` would read, if there is one."""
    for candidate in (folder / f"{name}.py", folder / name / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imported_by(file: Path) -> set[str]:
    """The modules of its folder that a file imports, itself or through others, in any function; found in its code.

    Those that it names in strings only (`importlib.import_module`) are not among them.
    """
    finder = ModuleFinder([str(file.parent)])
    with suppress(OSError, SyntaxError, ValueError, RecursionError, ImportError):  # running it says what is wrong
        finder.run_script(str(file))
    return {name for name in finder.modules if "." not in name}


class AgentFolders(MetaPathFinder):
    """Refuses names that more than one agent folder holds, and finds what the server needs where no folder is."""

    def __init__(self) -> None:
        self._folders: list[Path] = []

    def admit(self, file: Path) -> None:
        """Put the folder of an agent file on the import path, for good. Raises `AmbiguousModule`, `NeededModule`."""
        self._refuse_needed(file)
        self._refuse_hidden(file)
        self._refuse_hiding(file)
        folder = file.parent
        if folder in self._folders:
            return
        self._folders.append(folder)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        if str(folder) in sys.path:
            sys.path.remove(str(folder))  # the current folder may be there, at the end
        # In front, as Python does with the folder of a script, but behind the folders of earlier agents.
        sys.path.insert(len(self._folders) - 1, str(folder))

    def contains(self, file: Path) -> bool:
        """Whether `file` lies in a folder of an agent, or below."""
        return any(file.is_relative_to(folder) for folder in self._folders)

    def modules(self) -> dict[str, Path]:
        """The modules that were imported from agents' folders, and their files."""
        if not self._folders:
            return {}  # the first agent of a start need not wait until the files of two thousand modules are resolved
        files = {name: module_file(module) for name, module in list(sys.modules.items())}
        return {
            name: file
            for name, file in files.items()
            if file is not None and self.contains(file) and "site-packages" not in file.parts
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None:
            return None
        held = [file for folder in self._folders if (file := held_in(folder, fullname))]
        if not held:
            return None
        theirs = PathFinder.find_spec(fullname, path_without(self._folders), target)
        if theirs is not None and is_needed(fullname):
            return theirs
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

    def _refuse_needed(self, file: Path) -> None:
        """A file that imports modules of its folder that are named like those that the server needs."""
        folder = file.parent
        names = {path.stem for path in folder.glob("*.py")} | {
            path.parent.name for path in folder.glob("*/__init__.py")
        }
        # In this order: to know what is needed takes a third of a second.
        needed = {name: found for name in names if (found := found_elsewhere(name, {folder})) and is_needed(name)}
        if needed:
            for name in sorted(needed.keys() & _imported_by(file)):
                raise NeededModule(name, needed[name], held_in(folder, name) or folder)

    def _refuse_hidden(self, file: Path) -> None:
        """A file that imports modules of its folder in whose place others are in memory."""
        hidden = {}
        for name, loaded in self.modules().items():
            own = held_in(file.parent, name)
            if own is not None and own.resolve() != loaded:
                hidden[name] = (loaded, own)
        if hidden:
            for name in sorted(hidden.keys() & _imported_by(file)):
                raise AmbiguousModule(name, *hidden[name])

    def _refuse_hiding(self, file: Path) -> None:
        """A file that would be in memory in place of a module that another agent imports."""
        loaded = self.modules().values()
        for folder in self._folders:
            theirs = held_in(folder, file.stem)
            if theirs is None or theirs.resolve() == file:
                continue
            if any(file.stem in _imported_by(other) for other in loaded if other.parent == folder):
                raise AmbiguousModule(file.stem, theirs, file)


folders = AgentFolders()
