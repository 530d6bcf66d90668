"""Reloading one agent in a running server, with the modules that were imported from its folder."""

from __future__ import annotations

import importlib
import sys
import sysconfig
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import ModuleType

from django.apps import apps
from django.conf import settings

from agents.loading import stale_bytecode
from agents.loading.agent_file_errors import AgentLoadsTooLong
from agents.loading.agent_folders import module_file
from agents.loading.import_graph import packages_around, reached
from agents.loading.loader import is_module_name, load_agent, name_of
from agents.loading.server_modules import SERVER_PACKAGES
from myagent.agent import Agent

_LIBRARIES = frozenset({"site-packages", "dist-packages"})

_one_at_a_time = threading.Lock()
_loading = ""


def _any(agent: Agent) -> None:
    """Accepts every agent."""


def reload_agent(source: str, *, others: Collection[str] = (), accept: Callable[[Agent], None] = _any) -> Agent:
    """The agent of `source` as its file, and the modules beside it and below, are now.

    `others` are the sources of other agents; their modules, and those that their files import, stay as they are unless
    this agent imports them while it is loaded. Raises `AgentFileError`, as `accept` may, too; then everything that can
    be imported is as it was before. Objects that were made of the old modules keep them.
    """
    global _loading
    # Two at a time would take each other's modules away.
    if not _one_at_a_time.acquire(blocking=False):
        raise AgentLoadsTooLong(_loading)
    try:
        _loading = source
        return _load(source, others, accept)
    finally:
        _one_at_a_time.release()


def _load(source: str, others: Collection[str], accept: Callable[[Agent], None]) -> Agent:
    neighbours = {_name(other): module for other in others if (module := _module_of(other)) is not None}
    before = _take_out(source)
    try:
        agent = load_agent(source)
        accept(agent)
    except BaseException:
        _take_out(source)
        _put_back(before)
        raise
    _put_back(_left_alone(source, neighbours, before))
    return agent


def _left_alone(
    source: str, neighbours: Mapping[str, ModuleType], before: Mapping[str, ModuleType]
) -> dict[str, ModuleType]:
    """What was taken out and is not only this agent's, but for what its new version has imported meanwhile.

    What no file names, such as plug-ins, is this agent's where it has the folder for itself.
    """
    gone = before.keys() - sys.modules.keys()
    known = {**neighbours, **before, **_modules_beside(source)}
    theirs = reached(neighbours, known)
    if not before.keys().isdisjoint(neighbours):
        theirs |= gone - reached([_name(source)], known)
    # The modules of a package go back with it, which holds them as attributes.
    kept = {_outermost(name, gone) for name in gone & theirs}
    return {name: before[name] for name in gone if _outermost(name, gone) in kept}


def _outermost(name: str, gone: Collection[str]) -> str:
    """The widest package around a module that is gone, too; or the module."""
    return [found for found in (name, *packages_around(name)) if found in gone][-1]


def _take_out(source: str) -> dict[str, ModuleType]:
    """Make Python forget the modules of an agent, so that the next import reads their files."""
    found = _modules_beside(source)
    for name, module in found.items():
        sys.modules.pop(name, None)
        if (file := module_file(module)) is not None:
            stale_bytecode.forget(file)
        # A package that stays would give the old one to `from package import module`.
        package, _, last = name.rpartition(".")
        if package not in found and getattr(sys.modules.get(package), last, None) is module:
            delattr(sys.modules[package], last)
    importlib.invalidate_caches()
    return found


def _put_back(modules: Mapping[str, ModuleType]) -> None:
    sys.modules.update(modules)
    for name, module in modules.items():
        package, _, last = name.rpartition(".")
        if package in sys.modules:
            setattr(sys.modules[package], last, module)


# --- which modules are an agent's own ---------------------------------------------------------------------------------


def _path(source: str) -> Path:
    return Path(source).expanduser().resolve()


def _name(source: str) -> str:
    return source if is_module_name(source) else name_of(_path(source))


def _module_of(source: str) -> ModuleType | None:
    """The module that was loaded from a source."""
    module = sys.modules.get(_name(source))
    return module if is_module_name(source) or module_file(module) == _path(source) else None


def _folder_of(source: str) -> Path | None:
    """Where the modules of a source lie; for a module that failed, where the innermost package around it does."""
    if not is_module_name(source):
        return _path(source).parent
    while source and source not in sys.modules:
        source = source.rpartition(".")[0]
    file = _file(sys.modules[source]) if source else None
    return file.parent if file is not None else None


def _file(module: ModuleType) -> Path | None:
    """The file of a module; of a package without an `__init__.py`, the one that it lacks."""
    folders = list(getattr(module, "__path__", None) or ())
    return module_file(module) or (Path(folders[0]).resolve() / "__init__.py" if folders else None)


def _modules_beside(source: str) -> dict[str, ModuleType]:
    """The modules that were imported from the folder of a source, or from below it, without those of the server."""
    own, folder = _module_of(source), _folder_of(source)
    if folder is None:
        return {}
    server = [path for path in _server_folders() if path.is_relative_to(folder)]
    found = {}
    for name, module in list(sys.modules.items()):
        file = _file(module)
        if module is own or (file is not None and _is_beside(file, folder, server)):
            found[name] = module
    for name in ("__main__", settings.SETTINGS_MODULE, settings.ROOT_URLCONF):
        found.pop(name, None)
    # A package cannot be taken from under its modules.
    around = {package for name in sys.modules.keys() - found.keys() for package in packages_around(name)}
    return {name: module for name, module in found.items() if name not in around}


def _is_beside(file: Path, folder: Path, server: Iterable[Path]) -> bool:
    if file.suffix != ".py" or not file.is_relative_to(folder) or folder.name in _LIBRARIES:
        return False
    if _LIBRARIES.intersection(file.relative_to(folder).parts):
        return False
    return not any(file.is_relative_to(other) for other in server)


def _server_folders() -> set[Path]:
    """Where the server's own code is, that of Django's apps, which cannot be imported twice, and Python itself."""
    packages = (module_file(sys.modules.get(name)) for name in SERVER_PACKAGES)
    mine = {file.parent for file in packages if file is not None}
    library = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    return mine | library | {Path(config.path).resolve() for config in apps.get_app_configs()}
