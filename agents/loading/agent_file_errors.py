"""What can be wrong with an agent file.

AgentFileError
├── AgentFileMissing      there is no such file or module
├── NotAPythonFile        a file of another kind
├── FolderWithoutAgents   no file in the folder defines an agent
├── AgentSyntaxError      Python cannot read the file
├── AgentFileNotUtf8      the file is not text in UTF-8
├── AgentImportFailed     the file's own code raised an exception
├── AgentServesItself     the file's own code serves something and does not end
├── ModuleNameTaken       two modules of one name, or a name that a library has already
├── AgentVariableMissing  the file defines no `agent`
├── AgentWrongType        `agent` is something else than an agent
├── AgentNameInvalid      the agent's name cannot be part of a URL
├── DuplicateAgent        two files define agents of one name
├── AgentRenamed          the file of a served agent now defines one of another name
├── AgentLoadsTooLong     reloading it does not end
└── NoAgentLoaded         none of several files can be served
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _


class AgentFileError(MyAgentError):
    """An agent file cannot be served. Do not raise it directly.

    `file` is the file or module as the operator named it, `line` where in it the trouble is, `cure` what to do.
    `str(error)` says what is wrong and, on the last line, the cure.
    """

    code = "agent_file"

    def __init__(self, problem: str, *, file: str, line: int | None = None, cure: str = "") -> None:
        self.problem = problem
        self.file = file
        self.line = line
        self.cure = cure
        super().__init__(f"{problem}\n   {cure}" if cure else problem)


class AgentFileMissing(AgentFileError):
    """There is no such file or module."""

    code = "agent_file_missing"

    def __init__(self, file: str) -> None:
        super().__init__(
            _("Agent file not found: %(file)s") % {"file": file},
            file=file,
            cure=_closest(file) or _("Check the path; the current folder is %(folder)s") % {"folder": Path.cwd()},
        )


def _closest(file: str) -> str:
    """A question that names the file that may have been meant; empty when none is like it."""
    name = file.partition(":")[0]  # "my_agent:agent", as servers of other kinds want it
    for meant in (Path(name), Path(f"{name}.py"), Path(*name.split(".")).with_suffix(".py")):
        if meant.suffix == ".py" and os.path.isfile(meant):  # False also for what can be no name
            return _("Did you mean %(file)s?") % {"file": meant}
    folder = Path(file).expanduser().parent
    names = [path.name for path in folder.glob("*.py")] if folder.is_dir() else []
    found = get_close_matches(Path(file).name, names, n=1)
    return _("Did you mean %(file)s?") % {"file": folder / found[0]} if found else ""


class NotAPythonFile(AgentFileError):
    """A file of another kind."""

    code = "agent_file_not_python"

    def __init__(self, file: str) -> None:
        super().__init__(
            _("%(file)s is not a Python file") % {"file": file},
            file=file,
            cure=_("Name a file that ends in .py and defines 'agent'."),
        )


class FolderWithoutAgents(AgentFileError):
    """No file in the folder defines an agent."""

    code = "agent_folder_empty"

    def __init__(self, folder: str) -> None:
        super().__init__(
            _("No agent file was found in the folder %(folder)s") % {"folder": folder},
            file=folder,
            cure=_(
                "Put files in it that end in .py, do not begin with '_', and define 'agent'; or define it in its "
                "__init__.py."
            ),
        )


class AgentSyntaxError(AgentFileError):
    """Python cannot read the file."""

    code = "agent_file_syntax"

    def __init__(self, file: str, error: SyntaxError) -> None:
        where = {"file": file, "line": error.lineno, "error": error.msg}
        if error.lineno:
            problem = _("Syntax error in %(file)s, line %(line)d: %(error)s") % where
        else:
            problem = _("Syntax error in %(file)s: %(error)s") % where
        cure = ""
        if "'await' outside" in error.msg:
            cure = _("Await in an async function; what uses the agent goes under if __name__ == '__main__':")
        lines = [problem, *_marked_line(error)]
        super().__init__("\n".join(lines), file=file, line=error.lineno or None, cure=cure)


def _marked_line(error: SyntaxError) -> list[str]:
    """The line of a syntax error, and under it a caret at the place."""
    if not error.text:
        return []
    line = error.text.rstrip("\n")
    indent = len(line) - len(line.lstrip())
    column = max((error.offset or 1) - 1 - indent, 0)
    return [f"     {line.lstrip()}", f"     {' ' * column}^"]


class AgentFileNotUtf8(AgentFileError):
    """The file is not text in UTF-8; `encoding` is the one that it may be in, empty when that cannot be told."""

    code = "agent_file_encoding"

    def __init__(self, file: str, encoding: str) -> None:
        words = _("%(file)s is not saved as UTF-8") % {"file": file}
        cure = _("Save it as UTF-8 in your editor.")
        if encoding:
            words = _("%(file)s is not saved as UTF-8; it looks like %(encoding)s") % {
                "file": file,
                "encoding": encoding,
            }
        super().__init__(words, file=file, cure=cure)


class AgentImportFailed(AgentFileError):
    """The file's own code raised an exception; it is the `__cause__`. `words` stand for it where it is no sentence."""

    code = "agent_file_import"

    def __init__(self, file: str, error: BaseException, *, line: int | None, words: str = "", cure: str = "") -> None:
        words = words or _words_of(error)
        if line is None:
            problem = _("%(file)s cannot be loaded: %(error)s") % {"file": file, "error": words}
        else:
            where = {"file": file, "line": line, "error": words}
            problem = _("%(file)s, line %(line)d: %(error)s") % where
        super().__init__(problem, file=file, line=line, cure=cure)


def _words_of(error: BaseException) -> str:
    # A sentence of ours needs no class name before it.
    if isinstance(error, MyAgentError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class AgentServesItself(AgentFileError):
    """The file's own code serves something (`what` is the function that does), so that loading it does not end."""

    code = "agent_serves_itself"

    def __init__(self, file: str, what: str, *, line: int | None) -> None:
        where = {"file": file, "line": line or 0, "what": what}
        super().__init__(
            _("%(file)s, line %(line)d: %(what)s does not come to an end, so the file cannot be loaded") % where,
            file=file,
            line=line,
            cure=_("This server serves the agent. Put such code under if __name__ == '__main__':"),
        )


class ModuleNameTaken(AgentFileError):
    """The file is named like a library or another agent's module, or imports a module that two places hold.

    `is_needed` says that the first one is the server's.
    """

    code = "agent_module_name_taken"

    def __init__(self, name: str, first: str, second: str, *, file: str, is_needed: bool = False) -> None:
        self.paths = (first, second)
        if Path(second).resolve() == Path(file).expanduser().resolve():
            words = _("Two modules are named '%(name)s': %(first)s and %(second)s")
        else:
            words = _("%(file)s imports '%(name)s', and two modules are named so: %(first)s and %(second)s")
        super().__init__(
            words % {"file": file, "name": name, "first": first, "second": second},
            file=file,
            cure=_("Rename %(second)s: the server needs the other one itself.") % {"second": second}
            if is_needed
            else _("Rename one of them: Python can hold only one module of a name."),
        )


class AgentVariableMissing(AgentFileError):
    """The file was loaded and defines no `agent`."""

    code = "agent_variable_missing"

    def __init__(self, file: str, cure: str = "") -> None:
        super().__init__(
            _("No 'agent' variable was found in %(file)s") % {"file": file},
            file=file,
            cure=cure or _("Define it at the top level of the file: agent = create_react_agent(...)"),
        )


class AgentWrongType(AgentFileError):
    """`agent` is something else than an agent."""

    code = "agent_wrong_type"

    def __init__(self, file: str, found: str, cure: str = "") -> None:
        super().__init__(
            _("'agent' in %(file)s is %(found)s, not an agent") % {"file": file, "found": found},
            file=file,
            cure=cure
            or _(
                "It should be what create_react_agent(...) returns, or a function without arguments that returns that."
            ),
        )


class AgentNameInvalid(AgentFileError):
    """The agent's name cannot be part of a URL."""

    code = "agent_name_invalid"

    def __init__(self, name: str, *, file: str) -> None:
        super().__init__(
            _("The agent name %(name)r in %(file)s cannot be part of a URL") % {"name": name, "file": file},
            file=file,
            cure=_("Use 1 to 64 letters, digits, '_', '-' and '.', beginning with a letter or a digit."),
        )


class DuplicateAgent(AgentFileError):
    """Two files define agents of one name."""

    code = "agent_duplicate_name"

    def __init__(self, name: str, first: str, second: str) -> None:
        self.files = (first, second)
        super().__init__(
            _("Two agents are named '%(name)s': %(first)s and %(second)s")
            % {"name": name, "first": first, "second": second},
            file=second,
            cure=_("Give one of them another name."),
        )


class AgentRenamed(AgentFileError):
    """The file of a served agent now defines one of another name, which a reload cannot take up."""

    code = "agent_renamed"

    def __init__(self, file: str, old: str, new: str) -> None:
        super().__init__(
            _("The agent in %(file)s was named '%(old)s' and is now named '%(new)s'")
            % {"file": file, "old": old, "new": new},
            file=file,
            cure=_("Sessions belong to a name: restart the server to serve it under the new one."),
        )


class AgentLoadsTooLong(AgentFileError):
    """Reloading an agent does not end."""

    code = "agent_loads_too_long"

    def __init__(self, file: str) -> None:
        super().__init__(
            _("Loading %(file)s does not come to an end") % {"file": file},
            file=file,
            cure=_("Find out what its top level waits for. Nothing else can be reloaded until it has ended."),
        )


class NoAgentLoaded(AgentFileError):
    """None of several files can be served; `errors` says of each why."""

    code = "agent_none_loaded"

    def __init__(self, errors: Sequence[AgentFileError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n\n".join(map(str, errors)), file=errors[0].file)
