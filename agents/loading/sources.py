"""What an operator may name to be served: files, folders of files, and dotted names of modules."""

from __future__ import annotations

import logging
import symtable
from importlib.util import decode_source
from pathlib import Path

from agents.loading.agent_file_errors import FolderWithoutAgents
from agents.loading.loader import VARIABLE, is_module_name

logger = logging.getLogger("myagent.agents")


def is_folder(source: str) -> bool:
    """Whether `source` is a folder of agent files."""
    return not is_module_name(source) and Path(source).expanduser().is_dir()


def agent_files(folder: str) -> list[str]:
    """The files directly in `folder` that define an agent, by name. Raises `FolderWithoutAgents`.

    Told without running them, as the other files may be modules that agents import, or programs. What Python cannot
    read is taken for an agent file, so that loading it says what is wrong.
    """
    found = [str(Path(folder) / path.name) for path in _python_files(folder) if _defines_agent(path)]
    if not found:
        raise FolderWithoutAgents(folder)
    return found


def _python_files(folder: str) -> list[Path]:
    files = (path for path in Path(folder).expanduser().glob("*.py") if path.is_file())
    return sorted(path for path in files if not path.name.startswith(("_", ".")))


def _defines_agent(path: Path) -> bool:
    """Whether the file assigns or defines `agent` at its top level; a name that is only imported is another file's."""
    try:
        names = symtable.symtable(decode_source(path.read_bytes()), str(path), "exec")
        if names.lookup(VARIABLE).is_assigned():
            return True
    except KeyError:
        pass
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    logger.debug("%s defines no 'agent' and is skipped.", path)
    return False
