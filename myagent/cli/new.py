"""`myagent-ws new my_agent.py`: writes an agent file to begin with. Needs no server and makes no data folder."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from myagent.cli.language import add_language_option, speak
from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _

TEMPLATES = Path(__file__).parent / "templates"
_FILE, _NAME = "my_agent.py", "my-agent"


class CannotWrite(MyAgentError):
    """The file cannot be written there, or not under that name; nothing was changed."""

    code = "cannot_write"


def new(arguments: Sequence[str], *, prog: str) -> int:
    """Write the file that the arguments name, and say what to do next; returns the exit code."""
    language = speak(arguments)
    description = _("Write an agent file with comments that runs at once.")
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("file", metavar="FILE", help=_("the file to write, for example my_agent.py"))
    add_language_option(parser, _("language of the comments and of the output"))
    options = parser.parse_args(arguments)
    try:
        path = write_agent(options.file, language)
    except CannotWrite as error:
        sys.stderr.write(f"❌ {error}\n")
        return 1
    sys.stdout.write(_next_steps(path))
    return 0


def write_agent(file: str, language: str) -> Path:
    """Write the template in that language to `file`, with its names put in; returns the path. Raises `CannotWrite`.

    Folders that are missing are made.
    """
    path = Path(file if file.endswith(".py") else f"{file}.py").expanduser()
    _check_name(path)
    template = (TEMPLATES / f"{language}.py").read_text(encoding="utf-8")
    text = template.replace(_FILE, path.name).replace(_NAME, agent_name(path.stem))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as target:
            target.write(text)
    except OSError as error:
        if isinstance(error, FileExistsError) and os.path.lexists(path):
            words = _("%(file)s is there already and was left as it is. Choose another name.")
            raise CannotWrite(words % {"file": path}) from None
        at = "" if str(error.filename) == str(path) else f" ({error.filename})"
        words = _("%(file)s cannot be written: %(error)s")
        raise CannotWrite(words % {"file": path, "error": f"{error.strerror}{at}"}) from error
    return path


def agent_name(stem: str) -> str:
    """The name of the agent in the file `stem`.py, as it can stand in a URL."""
    return re.sub(r"[^\w.]+|_+", "-", stem).strip("-")[:64]


def _check_name(path: Path) -> None:
    """Refuse names under which Python could not import the file, or would take something else for it."""
    stem = path.stem
    if not stem.isidentifier() or not agent_name(stem):
        better = re.sub(r"\W+", "_", stem).strip("_")
        better = better if better.isidentifier() else f"agent_{better}".rstrip("_")
        raise CannotWrite(
            _("Python cannot import a file called %(file)s. Call it %(better)s.py, for example.")
            % {"file": path.name, "better": better}
        )
    if _is_taken(stem, path):
        raise CannotWrite(
            _("%(file)s would hide the Python module %(name)s. Choose another name, such as %(name)s_agent.py.")
            % {"file": path.name, "name": stem}
        )


def _is_taken(stem: str, path: Path) -> bool:
    if stem in sys.stdlib_module_names:
        return True
    try:
        spec = importlib.util.find_spec(stem)
    except (ImportError, ValueError):
        return True
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    # A file of the user's own in the current folder hides nothing; it is the one that is there already.
    return spec is not None and (origin is None or origin.resolve().parent != path.resolve().parent)


def _next_steps(path: Path) -> str:
    shown = str(path)
    steps = [
        (f"myagent-ws check {shown}", _("what is in it, and what looks wrong")),
        (f"myagent-ws server {shown} --llm demo", _("serve it; without --llm demo when OPENAI_API_KEY is set")),
        ("myagent-ws chat", _("talk to it in another terminal, or open http://localhost:8080/")),
    ]
    width = max(len(command) for command, _words in steps)
    lines = ["✅ " + _("%(file)s is written.") % {"file": shown}, "", _("Next steps:")]
    lines += [f"  {command:<{width}}   # {words}" for command, words in steps]
    return "\n".join([*lines, ""])
