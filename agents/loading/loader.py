"""From the path of an agent file, or the dotted name of a module, to the agent that it defines."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from agents.caretaker import caretaker
from agents.loading import stale_bytecode
from agents.loading.agent_file_errors import (
    AgentFileError,
    AgentFileMissing,
    AgentFileNotUtf8,
    AgentImportFailed,
    AgentServesItself,
    AgentSyntaxError,
    ModuleNameTaken,
    NotAPythonFile,
)
from agents.loading.agent_folders import AmbiguousModule, NeededModule, folders, module_file
from agents.loading.agent_variable import agent_in
from agents.loading.failed_import import advice
from agents.loading.file_encoding import wrong_encoding
from agents.loading.loading_watch import LoadingWatch
from agents.loading.server_modules import found_elsewhere, is_needed
from agents.loading.surroundings import surroundings
from myagent.agent import Agent
from myagent.exceptions import AgentDefinitionError
from myagent.tool.attributes import check_attributes

T = TypeVar("T")


def load_agent(source: str) -> Agent:
    """The agent that the file or module `source` defines. Raises `AgentFileError`."""
    try:
        with caretaker.watching(f"The agent file {source}"):
            return _load(source)
    except AgentFileError as error:
        stale_bytecode.forget_failed(error)  # it may be corrected at once and is then loaded again
        raise


def _load(source: str) -> Agent:
    module = _import_module(source) if is_module_name(source) else _load_file(source)
    agent = agent_in(module, source, partial(_run, source, module.__name__))
    try:
        for tool in agent.tools:
            check_attributes(tool)  # again: the file may have set some after it made the agent
    except AgentDefinitionError as error:
        raise _failure(source, module.__name__, error) from error
    return agent


def is_module_name(source: str) -> bool:
    """Whether `source` is the dotted name of a module and not a path."""
    return not source.endswith(".py") and not Path(source).exists() and all(map(str.isidentifier, source.split(".")))


def name_of(file: Path) -> str:
    """The name under which the module in an agent file is known: that of the file, or of the package that it makes."""
    return file.parent.name if file.name == "__init__.py" else file.stem


def _import_module(name: str) -> ModuleType:
    # `python -m` has the current folder on the path and an installed command has not. Last, so that it hides nothing.
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.append(str(Path.cwd()))
    try:
        return _run(name, name, partial(importlib.import_module, name))
    except AgentImportFailed as error:
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and f"{name}.".startswith(f"{missing.name}."):
            raise AgentFileMissing(name) from missing
        raise


def _load_file(source: str) -> ModuleType:
    path = _checked_path(source)
    name = name_of(path)
    existing = sys.modules.get(name)
    if existing is not None:
        taken = module_file(existing)
        if taken == path:
            return existing  # another agent imported it already
        raise ModuleNameTaken(name, str(taken or f"{name} (Python)"), source, file=source)
    if (theirs := found_elsewhere(name, {path.parent})) is not None and is_needed(name):
        raise ModuleNameTaken(name, theirs, source, file=source, is_needed=True)
    try:
        folders.admit(path)
    except (AmbiguousModule, NeededModule) as error:
        raise _failure(source, name, error) from error
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NotAPythonFile(source)
    module = importlib.util.module_from_spec(spec)
    # Under its own name, so that other agents and its own helpers can import it.
    sys.modules[name] = module
    try:
        _run(source, name, partial(spec.loader.exec_module, module))
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _checked_path(source: str) -> Path:
    path = Path(source).expanduser().resolve()
    if not path.exists():
        raise AgentFileMissing(source)
    if not path.is_file() or path.suffix != ".py":
        raise NotAPythonFile(source)
    if (encoding := wrong_encoding(path)) is not None:
        raise AgentFileNotUtf8(source, encoding)
    return path


def _run(source: str, name: str, code: Callable[[], T]) -> T:
    """Run code of the module `name`. Raises `AgentFileError` in the place of what it raises."""
    watch = LoadingWatch(source, name)
    try:
        with surroundings(source), watch:
            done = code()
    except (Exception, SystemExit) as error:
        raise _failure(source, name, error) from error
    except KeyboardInterrupt as error:
        if watch.serving is None:
            raise
        raise AgentServesItself(source, watch.serving, line=watch.line) from error
    if watch.serving is not None:
        raise AgentServesItself(source, watch.serving, line=watch.line)  # it took the interrupt for its own end
    return done


def _failure(source: str, name: str, error: BaseException) -> AgentFileError:
    file, line = _place_in(error, name)
    if not is_module_name(source):
        file = Path(source).expanduser().resolve()
    match error:
        case AmbiguousModule() | NeededModule():
            paths = map(str, error.paths)
            return ModuleNameTaken(error.name or "", *paths, file=source, is_needed=isinstance(error, NeededModule))
        case SyntaxError():
            return _unreadable(source, error, file)
        case AgentDefinitionError() if error.file:
            own = file is not None and Path(error.file) == file
            return AgentImportFailed(source if own else _shown(error.file), error, line=error.line)
    found = advice(error, file)
    return AgentImportFailed(source, error, line=line, words=found.words, cure=found.cure)


def _shown(file: str) -> str:
    """A file's path, from the current folder where it lies in there."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _unreadable(source: str, error: SyntaxError, file: Path | None) -> AgentFileError:
    where = Path(error.filename or file or source).resolve()
    name = source if where == file else str(error.filename or source)
    if (encoding := wrong_encoding(where)) is not None:
        return AgentFileNotUtf8(name, encoding)
    return AgentSyntaxError(name, error)


def _place_in(error: BaseException, name: str) -> tuple[Path | None, int | None]:
    """The file of the module `name`, and the innermost line in it that the exception passed through."""
    found = [
        (Path(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") == name
    ]
    return found[-1] if found else (None, None)
