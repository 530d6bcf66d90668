"""Asks the user whether a tool may run; the user may edit the arguments first, in their editor or in a line."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _
from myagent.terminal.in_progress import Question
from myagent.terminal.input import GaveWay, Input, Key
from myagent.terminal.safe_text import one_line, plain, signature
from myagent.text import with_escapes, with_marks

if TYPE_CHECKING:
    # Not at run time: `checkagent` reads answers with this module and needs neither the client nor the screens.
    from myagent.terminal.screen import Screen

_YES = frozenset({"y", "yes", "ok", "是", "好", "可以", "同意"})
_NO = frozenset({"n", "no", "否", "不", "不要", "拒绝"})
_EDIT = frozenset({"e", "edit", "改", "修改", "编辑"})


@dataclass(frozen=True, slots=True)
class Yes:
    """The tool may run."""


@dataclass(frozen=True, slots=True)
class No:
    """The tool may not run, for this reason if one was given."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """The arguments are to be changed first."""


def read_choice(text: str) -> Yes | No | Edit | None:
    """What was typed, None when it is not clear: silence and slips are no consent."""
    word, _space, rest = text.strip().partition(" ")
    word = word.rstrip(",，:：.。").lower()
    if word in _NO:
        return No(rest.strip())
    if rest.strip():
        return None
    if word in _YES:
        return Yes()
    return Edit() if word in _EDIT else None


class BadArguments(ValueError):
    """What was edited cannot be the arguments of a call."""


def write_arguments(arguments: dict[str, Any], *, indent: int | None = 2) -> str:
    """Arguments as text to edit, with escapes for what would not be seen."""
    return with_escapes(json.dumps(arguments, ensure_ascii=False, indent=indent))


def read_arguments(text: str) -> dict[str, Any]:
    """Arguments from edited text. Raises `BadArguments`, which says where the mistake is."""
    try:
        arguments = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        words = _("This is not JSON: %(problem)s in line %(line)d, column %(column)d.")
        facts = {"problem": error.msg, "line": error.lineno, "column": error.colno}
        raise BadArguments(words % facts) from error
    if not isinstance(arguments, dict):
        raise BadArguments(_("The arguments have to be one JSON object: {…}."))
    return arguments


class EditorFailed(MyAgentError):
    """The editor could not be started, or ended with an error; the text is as it was."""

    code = "editor_failed"


def chosen_editor() -> list[str]:
    """The command of `VISUAL` or `EDITOR`, empty when neither is set. Raises `EditorFailed` for what is no command."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise _unusable(command, error) from error


async def edit(text: str, command: list[str], *, suffix: str = ".json") -> str:
    """Open `text` in the editor and return what was saved. Raises `EditorFailed`."""
    with tempfile.TemporaryDirectory(prefix="myagent-") as folder:
        file = Path(folder) / f"arguments{suffix}"
        file.write_text(f"{text}\n", encoding="utf-8")
        try:
            process = await asyncio.create_subprocess_exec(*command, str(file))
            code = await process.wait()
            edited = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(command[0], error) from error
    if code:
        words = _("The editor %(editor)s ended with code %(code)d; nothing was changed.")
        raise EditorFailed(words % {"editor": command[0], "code": code})
    return edited


def _unusable(editor: str, error: Exception) -> EditorFailed:
    words = _("The editor %(editor)s cannot be used: %(error)s. VISUAL or EDITOR names another one.")
    return EditorFailed(words % {"editor": editor, "error": error})


MOST_LINES = 30
"""Lines of arguments that are shown; the editor shows all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationAnswer:
    """The user's answer; `args` None leaves the arguments as they are."""

    confirmed: bool
    args: dict[str, Any] | None = None
    reason: str | None = None


class Ask(Protocol):
    """Reads a line from the user, as `InputSource.ask` does."""

    async def __call__(self, words: str, draft: str = "") -> Input: ...


class ConfirmationDialog:
    """Asks the user about one call. It can be asked again after something else came first."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._args = question.args
        self._about = f"question {question.step_id}"
        self._to_show = self._described()

    async def ask(self, ask: Ask, screen: Screen) -> ConfirmationAnswer | Key | GaveWay:
        """Ask until the answer is clear. Returns `GaveWay` also after the user has edited the arguments."""
        if self._to_show:
            screen.put(*self._to_show, about=self._about)
            self._to_show = []
        while True:
            typed = await ask(_("[y]es, [n]o or [e]dit? "))
            if not isinstance(typed, str):
                return typed
            match read_choice(typed):
                case Yes():
                    args = self._args if self._args != self.question.args else None
                    return ConfirmationAnswer(confirmed=True, args=args)
                case No(reason):
                    return ConfirmationAnswer(confirmed=False, reason=reason or None)
                case Edit():
                    return await self._edit(ask, screen)
                case None:
                    words = _(
                        "Type y for yes, n for no (with a reason behind it, if you like), or e to change the arguments."
                    )
                    screen.put(Text(words, style="dim"), about=self._about)

    async def _edit(self, ask: Ask, screen: Screen) -> Key | GaveWay:
        """Change the arguments, in the user's editor if there is one. What happened meanwhile is to come first."""
        try:
            if editor := chosen_editor():
                self._args = read_arguments(await edit(write_arguments(self._args), editor))
            elif (ended := await self._edit_line(ask, screen)) is not None:
                return ended
        except (EditorFailed, BadArguments) as error:
            words = Text(f"✗ {error}", style="red"), Text(_("Nothing was changed."), style="dim")
            screen.put(*words, about=self._about)
        self._to_show = self._call()
        return GaveWay()

    async def _edit_line(self, ask: Ask, screen: Screen) -> Key | GaveWay | None:
        """Change the arguments in a line, until it is right; an empty one leaves them as they are."""
        text = write_arguments(self._args, indent=None)
        while True:
            typed = await ask("JSON: ", text)
            if not isinstance(typed, str):
                return typed
            if not typed:
                return None
            try:
                self._args = read_arguments(typed)
            except BadArguments as error:
                screen.put(Text(f"✗ {error}", style="red"), about=self._about)
                text = typed
            else:
                return None

    def _described(self) -> list[RenderableType]:
        question = self.question
        lines = self._call()
        if question.description:
            lines.append(_indented(Text(one_line(with_marks(question.description)), style="dim")))
        time = _("Without an answer in %(seconds)s s it is a no.") % {"seconds": f"{question.timeout_seconds:g}"}
        return [*lines, _indented(Text.assemble((plain(with_marks(question.words)), "bold"), (f" {time}", "dim")))]

    def _call(self) -> list[RenderableType]:
        """The call with all its arguments: who allows it has to see what it does."""
        short = signature(self.question.tool, self._args)
        if len(short) <= 60:
            return [Text.assemble(("? ", "bold yellow"), (short, "bold"))]
        lines = plain(with_marks(json.dumps(self._args, ensure_ascii=False, indent=2))).splitlines()
        shown = lines[:MOST_LINES]
        if len(lines) > MOST_LINES:
            shown.append(_("… %(count)d more lines; e shows them") % {"count": len(lines) - MOST_LINES})
        head = Text.assemble(("? ", "bold yellow"), (one_line(with_marks(self.question.tool)), "bold"))
        return [head, *(_indented(Text(line)) for line in shown)]


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))
