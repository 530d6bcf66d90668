"""What an operator may name to be served: files, folders of files, and dotted names of modules."""

from __future__ import annotations

import logging
import symtable
from importlib.util import decode_source
from pathlib import Path

from agents.loading.agent_file_errors import FolderWithoutAgents
from agents.loading.agent_variable import VARIABLE
from agents.loading.loader import is_module_name

logger = logging.getLogger("myagent.agents")


def is_folder(source: str) -> bool:
    """Whether `source` is a folder of agent files."""
    return not is_module_name(source) and Path(source).expanduser().is_dir()


def agent_files(folder: str) -> list[str]:
    """The files directly in `folder` that define an agent, by name. Raises `FolderWithoutAgents`.

    Told without running them, as the other files may be modules that agents import, or programs. What Python cannot
    read is taken for an agent file, so that loading it says what is wrong. Where none does, and the folder is a package
    that has an agent, it is the package.
    """
    found = [str(Path(folder) / path.name) for path in _python_files(folder) if _defines_agent(path)]
    package = Path(folder) / "__init__.py"
    if not found and package.expanduser().is_file() and _names_agent(package.expanduser()):
        return [str(package)]
    if not found:
        raise FolderWithoutAgents(folder)
    return found


def _python_files(folder: str) -> list[Path]:
    files = (path for path in Path(folder).expanduser().glob("*.py") if path.is_file())
    return sorted(path for path in files if not path.name.startswith(("_", ".")))


def _defines_agent(path: Path) -> bool:
    """Whether the file assigns or defines `agent` at its top level; a name that is only imported is another file's."""
    if (symbol := _symbol(path)) is None or symbol.is_assigned():
        return True
    logger.debug("%s defines no 'agent' and is skipped.", path)
    return False


def _names_agent(path: Path) -> bool:
    """Whether the file has a name `agent` at its top level, of its own or imported."""
    return (symbol := _symbol(path)) is None or symbol.is_assigned() or symbol.is_imported()


def _symbol(path: Path) -> symtable.Symbol | None:
    """What `agent` is at the top level of a file, in which it need not be; None when Python cannot read it."""
    try:
        code = decode_source(path.read_bytes())
        return symtable.symtable(f"{code}\n{VARIABLE}\n", str(path), "exec").lookup(VARIABLE)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
