"""What to say about the commonest exceptions of an agent file, beyond their own words."""

from __future__ import annotations

import ast
import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dotenv import find_dotenv

import myagent
from agents.loading.missing_module import cure_of_import
from agents.loading.missing_parts import instead_of
from myagent.exceptions import MyAgentError, RunError
from myagent.i18n import gettext as _

_READERS = ("os.getenv", "getenv", "os.environ.get", "environ.get")


@dataclass(frozen=True, slots=True)
class Advice:
    """What is said in place of an exception's own words, where those are none, and what to do about it."""

    words: str = ""
    cure: str = ""


def advice(error: BaseException, file: Path | None) -> Advice:
    """On what importing `file` ended with; empty where the exception's own words must do."""
    if not isinstance(error, MyAgentError) and (cure := instead_of(error)):
        return Advice(cure=cure)
    match error:
        case RunError():
            return Advice(
                cure=_("The file asks the model while it is loaded; put that under if __name__ == '__main__':")
            )
        case MyAgentError():
            return Advice()
        case ImportError():
            return Advice(cure=cure_of_import(error, file))
        case KeyError() if _raised_in(error, "os"):
            return _unset(str(error.args[0]))
        case SystemExit():
            return _ended(error)
        case IndexError() if "argv" in _line_of(error):
            return _without_arguments()
        case EOFError() if _is_question(error):
            return Advice(
                words=_("The file asks something on the terminal, and nobody can answer there"),
                cure=_("Read it from the environment, or ask under if __name__ == '__main__':"),
            )
        case RuntimeError() if "event loop" in str(error):
            return Advice(
                cure=_(
                    "Agent files are loaded outside an event loop: make such objects inside a tool, at its first call."
                )
            )
        case NameError() if error.name in myagent.__all__:
            return Advice(cure=_("Add to the file: %(line)s") % {"line": f"from myagent import {error.name}"})
        case FileNotFoundError() if file is not None and _lies_beside(error.filename, file):
            words = _("Relative paths begin at the current folder. Beside the file it is: %(path)s")
            return Advice(cure=words % {"path": f"Path(__file__).parent / {str(error.filename)!r}"})
        case AttributeError() | TypeError() if "NoneType" in str(error) and (unset := _read_in_vain(error, file)):
            return Advice(
                cure=_("Not set is: %(names)s.") % {"names": ", ".join(unset)} + " " + _where_to_set(unset[0])
            )
    return Advice()


def _raised_in(error: BaseException, module: str) -> bool:
    """Whether it came from the code of that module, and not from a function that it called."""
    frames = [frame for frame, _line in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__") == module


def _line_of(error: BaseException) -> str:
    """The line of code that raised it; empty when its file cannot be read."""
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].line or "" if frames else ""


def _unset(name: str) -> Advice:
    return Advice(
        words=_("The environment variable %(name)s is not set") % {"name": name},
        cure=_where_to_set(name),
    )


def _where_to_set(name: str) -> str:
    words = _("Set it where the server is started (export %(name)s=…), or write %(name)s=… into the file %(file)s")
    return words % {"name": name, "file": find_dotenv(usecwd=True) or Path.cwd() / ".env"}


def _ended(error: SystemExit) -> Advice:
    said = "" if error.code is None else f": {error.code}"
    if any(Path(frame.filename).name == "argparse.py" for frame in traceback.extract_tb(error.__traceback__)):
        return _without_arguments()
    return Advice(
        words=_("The file ends the program") + said,
        cure=_("An agent file must not end the program; put such code under if __name__ == '__main__':"),
    )


def _is_question(error: EOFError) -> bool:
    """Whether `input()` or one of its kind raised it; reading a file that is too short does so, too."""
    return _raised_in(error, "getpass") or "input(" in _line_of(error)


def _without_arguments() -> Advice:
    return Advice(
        words=_("The file wants arguments of the command line, and the server gives it none"),
        cure=_("Read them under if __name__ == '__main__': and give them defaults, or use the environment."),
    )


def _lies_beside(name: object, file: Path) -> bool:
    return isinstance(name, str) and not Path(name).is_absolute() and (file.parent / name).exists()


def _read_in_vain(error: BaseException, file: Path | None) -> list[str]:
    """The environment variables without a value that the author's code read, with no default, before it failed."""
    if file is None:
        return []
    frames = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    beside = (path for path in frames if path.is_relative_to(file.parent) and "site-packages" not in path.parts)
    own = dict.fromkeys(beside)
    names = dict.fromkeys(name for path in own for name in _names_read(path))
    return [name for name in names if name not in os.environ]


def _names_read(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=function, args=[ast.Constant(value=str(name))], keywords=[]):
                if ast.unparse(function) in _READERS:
                    yield name
