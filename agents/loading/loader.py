"""From the path of an agent file, or the dotted name of a module, to the agent that it defines."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.loading import stale_bytecode
from agents.loading.agent_file_errors import (
    AgentFileError,
    AgentFileMissing,
    AgentImportFailed,
    AgentSyntaxError,
    AgentVariableMissing,
    AgentWrongType,
    ModuleNameTaken,
    NotAPythonFile,
)
from agents.loading.agent_folders import AmbiguousModule, folders, module_file
from myagent.agent import Agent
from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _

VARIABLE = "agent"


def load_agent(source: str) -> Agent:
    """The agent that the file or module `source` defines. Raises `AgentFileError`."""
    try:
        return _load(source)
    except AgentFileError as error:
        stale_bytecode.forget_failed(error)  # it may be corrected at once and is then loaded again
        raise


def _load(source: str) -> Agent:
    module = _load_module(source)
    if not hasattr(module, VARIABLE):
        raise AgentVariableMissing(source)
    return _as_agent(getattr(module, VARIABLE), source, module)


def is_module_name(source: str) -> bool:
    """Whether `source` is the dotted name of a module and not a path."""
    return not source.endswith(".py") and not Path(source).exists() and all(map(str.isidentifier, source.split(".")))


def _load_module(source: str) -> ModuleType:
    return _import_module(source) if is_module_name(source) else _load_file(source)


def _import_module(name: str) -> ModuleType:
    # `python -m` has the current folder on the path and an installed command has not. Last, so that it hides nothing.
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise AgentFileMissing(name) from error
        raise _import_failed(name, error, None) from error
    except SyntaxError as error:
        raise AgentSyntaxError(error.filename or name, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error, None) from error


def _load_file(source: str) -> ModuleType:
    path = _checked_path(source)
    name = path.stem
    existing = sys.modules.get(name)
    if existing is not None:
        taken = module_file(existing)
        if taken == path:
            return existing  # another agent imported it already
        raise ModuleNameTaken(name, str(taken or f"{name} (Python)"), source, file=source)
    try:
        folders.admit(path)
    except AmbiguousModule as error:
        raise _import_failed(source, error, path) from error
    return _run_file(source, path)


def _checked_path(source: str) -> Path:
    path = Path(source).expanduser().resolve()
    if not path.exists():
        raise AgentFileMissing(source)
    if not path.is_file() or path.suffix != ".py":
        raise NotAPythonFile(source)
    return path


def _run_file(source: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise NotAPythonFile(source)
    module = importlib.util.module_from_spec(spec)
    # Under its own name, so that other agents and its own helpers can import it.
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(path.stem, None)
        if isinstance(error, SyntaxError):
            same = error.filename is not None and Path(error.filename).resolve() == path
            raise AgentSyntaxError(source if same else error.filename or source, error) from error
        if isinstance(error, Exception | SystemExit):
            raise _import_failed(source, error, path) from error
        raise
    return module


def _import_failed(source: str, error: BaseException, path: Path | None) -> AgentFileError:
    if isinstance(error, AmbiguousModule):
        return ModuleNameTaken(error.name or "", *map(str, error.paths), file=source)
    return AgentImportFailed(source, error, line=_line_in(error, path), cure=_cure(error))


def _line_in(error: BaseException, path: Path | None) -> int | None:
    """The innermost line of the agent's own file that the exception passed through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if path == Path(frame.filename)]
    return lines[-1] if lines else None


def _cure(error: BaseException) -> str:
    """What to do about the commonest exceptions of an agent file; empty when its own words must do."""
    text = str(error)
    if isinstance(error, MyAgentError):
        return ""
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "agents":
        return _(
            "'agents' is a part of this server and also the name of OpenAI's Agents SDK; the two cannot be used in one "
            "process. Define the agent with myagent instead."
        )
    if isinstance(error, ModuleNotFoundError):
        words = _("Install it in this environment (pip install %(package)s), or put the module beside the agent file.")
        return words % {"package": (error.name or "").partition(".")[0]}
    if isinstance(error, RuntimeError) and "event loop" in text:
        return _("Agent files are loaded outside an event loop: make such objects inside a tool, at its first call.")
    if isinstance(error, SystemExit):
        return _("An agent file must not end the program; put such code under if __name__ == '__main__':")
    return ""


def _as_agent(value: Any, source: str, module: ModuleType) -> Agent:
    if isinstance(value, Agent):
        return value
    if not (inspect.isroutine(value) or isinstance(value, partial)) or inspect.iscoroutinefunction(value):
        raise AgentWrongType(source, _described(value))
    if _wants_arguments(value):
        raise AgentWrongType(source, _("a function that wants arguments"))
    try:
        made = value()
    except (Exception, SystemExit) as error:
        raise _import_failed(source, error, module_file(module)) from error
    if not isinstance(made, Agent):
        raise AgentWrongType(source, _("a function that returns %(found)s") % {"found": _described(made)})
    return made


def _described(value: Any) -> str:
    if inspect.iscoroutinefunction(value) or inspect.iscoroutine(value):
        if inspect.iscoroutine(value):
            value.close()  # it will never be awaited, and Python would warn of that
        return _("an async function")
    return f"{type(value).__name__} ({value!r:.60})"


def _wants_arguments(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return True
    except ValueError:
        return False  # built-in functions without a signature
    return False
