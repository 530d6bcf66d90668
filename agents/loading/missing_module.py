"""What to do about an import that failed in an agent file."""

from __future__ import annotations

import re
import sys
import traceback
from difflib import get_close_matches
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from agents.loading.agent_folders import held_in
from agents.loading.package_names import package_of
from agents.loading.server_modules import SERVER_PACKAGES, found_elsewhere, is_needed
from myagent.i18n import gettext as _

_WANTED = re.compile(r"cannot import name '(\w+)'")


def cure_of_import(error: ImportError, file: Path | None) -> str:
    """What to do about `error`, which importing the agent's `file` ended with; `file` None: a module by its name."""
    module = error.name or ""
    top = module.partition(".")[0]
    if "relative import" in str(error):
        return _without_package(file)
    if (own := _hidden_by_the_server(top, file)) is not None:
        words = _("%(file)s has the name of a module that the server needs itself, and is not imported: rename it.")
        return words % {"file": own}
    if top == "agents":
        return _(
            "'agents' is a part of this server and also the name of OpenAI's Agents SDK; the two cannot be used in one "
            "process. Define the agent with myagent instead."
        )
    if isinstance(error, ModuleNotFoundError):
        return _absent(module, top, file)
    return _without_name(error)


def _without_package(file: Path | None) -> str:
    """A relative import in a file that was not imported as a part of a package."""
    if file is not None and (start := _package_above(file)) is not None:
        return _by_name(start, file)
    return _("Write 'import tools' in place of 'from . import tools': the folder of the agent file is searched.")


def _package_above(file: Path) -> Path | None:
    """The folder that holds the outermost package around `file`; None when it is in none."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return None if folder == file.parent else folder


def _by_name(start: Path, file: Path) -> str:
    words = _(
        "The file belongs to a package: name the module in place of the file, %(module)s, in the folder %(folder)s"
    )
    parts = file.relative_to(start).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return words % {"module": module, "folder": start}


def _hidden_by_the_server(top: str, file: Path | None) -> Path | None:
    """A file of the author's, in whose place the server's module of that name was imported."""
    for folder in {Path.cwd(), file.parent if file is not None else Path.cwd()}:
        own = held_in(folder, top) or (folder / top if (folder / top).is_dir() else None)
        if own is not None and found_elsewhere(top, {folder}) is not None and is_needed(top):
            return own
    return None


def _absent(module: str, top: str, file: Path | None) -> str:
    if top in SERVER_PACKAGES:
        return _("This version of %(package)s has no such module.") % {"package": top}
    if top != module and (top in sys.modules or find_spec(top) is not None):
        words = _("%(package)s is installed here, without that module; another version may have it.")
        return words % {"package": _installed(top)}
    if top in sys.stdlib_module_names:
        return _("The module belongs to Python, but not to this version or installation of it.")
    if (package := package_of(module)) is not None:
        words = _("Install it in this environment (pip install %(package)s), or put the module beside the agent file.")
        return words % {"package": package}
    if file is not None and (start := _holder_above(top, file)) is not None:
        return _by_name(start, file)
    words = _(
        "Install the package that has '%(module)s' in this environment, or put %(module)s.py beside the agent file."
    )
    return words % {"module": top}


def _holder_above(top: str, file: Path) -> Path | None:
    """The nearest folder above that of `file` in which `top` is a module or a package."""
    for folder in file.parent.parents:
        if held_in(folder, top) or (folder / top) in file.parents:
            return folder
    return None


def _installed(top: str) -> str:
    """The distribution that has a module, with its version; the module where that is not known."""
    names = metadata.packages_distributions().get(top, ())
    return ", ".join(f"{name} {metadata.version(name)}" for name in names) or top


def _without_name(error: ImportError) -> str:
    """A module that was found, but not the name in it."""
    if error.path is not None and any(
        frame.filename == error.path and frame.name == "<module>" for frame in traceback.extract_tb(error.__traceback__)
    ):
        return _(
            "The two files import each other. Put what both need into a third one, or import it inside a function."
        )
    wanted = _WANTED.match(str(error))
    module = sys.modules.get(error.name or "")
    found = get_close_matches(wanted[1], dir(module), n=1) if wanted and module is not None else []
    return _("Did you mean %(file)s?") % {"file": found[0]} if found else ""
