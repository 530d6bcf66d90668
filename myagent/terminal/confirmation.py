"""Asking a person whether a tool may run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from myagent.i18n import gettext as _
from myagent.terminal.choices import BadArguments, Edit, No, Yes, read_arguments, read_choice, write_arguments
from myagent.terminal.editor import EditorFailed, chosen_editor, edit
from myagent.terminal.in_progress import Question
from myagent.terminal.input import Asking, Woken
from myagent.terminal.safe_text import one_line, plain, signature
from myagent.terminal.screen import Screen

MOST_LINES = 30
"""Lines of arguments that are shown; the editor shows all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided; `args` None leaves the arguments as they are."""

    confirmed: bool
    args: dict[str, Any] | None = None
    reason: str | None = None


class Confirmation:
    """One question. It can be asked again after something came between."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._args = question.args
        self._about = f"question {question.step_id}"
        self._to_show = self._described()

    async def ask(self, asking: Asking, screen: Screen) -> Decision:
        """Ask until the answer is clear. Raises `Left`, `Interrupted`, `Woken`, the last also after the editor."""
        if self._to_show:
            screen.put(*self._to_show, about=self._about)
            self._to_show = []
        while True:
            choice = read_choice(await asking.ask(_("[y]es, [n]o or [e]dit? ")))
            match choice:
                case Yes():
                    args = self._args if self._args != self.question.args else None
                    return Decision(confirmed=True, args=args)
                case No(reason):
                    return Decision(confirmed=False, reason=reason or None)
                case Edit():
                    await self._edit(asking, screen)
                    # It may have taken long. Nobody could be woken, so what happened meanwhile comes first.
                    raise Woken
                case None:
                    words = _(
                        "Type y for yes, n for no (with a reason behind it, if you like), or e to change the arguments."
                    )
                    screen.put(Text(words, style="dim"), about=self._about)

    async def _edit(self, asking: Asking, screen: Screen) -> None:
        """Change the arguments, in the editor if there is one."""
        try:
            self._args = await (self._edit_in(editor) if (editor := chosen_editor()) else self._type(asking, screen))
        except (EditorFailed, BadArguments) as error:
            words = Text(f"✗ {error}", style="red"), Text(_("Nothing was changed."), style="dim")
            screen.put(*words, about=self._about)
        self._to_show = self._call()

    async def _edit_in(self, editor: list[str]) -> dict[str, Any]:
        return read_arguments(await edit(write_arguments(self._args), editor))

    async def _type(self, asking: Asking, screen: Screen) -> dict[str, Any]:
        """Change them in a line, until they are right; an empty one leaves them as they are."""
        text = json.dumps(self._args, ensure_ascii=False)
        while text := await asking.ask("JSON: ", text):
            try:
                return read_arguments(text)
            except BadArguments as error:
                screen.put(Text(f"✗ {error}", style="red"), about=self._about)
        return self._args

    def _described(self) -> list[RenderableType]:
        question = self.question
        lines = self._call()
        if question.description:
            lines.append(_indented(Text(one_line(question.description), style="dim")))
        time = _("Without an answer in %(seconds)s s it is a no.") % {"seconds": f"{question.timeout_seconds:g}"}
        return [*lines, _indented(Text.assemble((plain(question.words), "bold"), (f" {time}", "dim")))]

    def _call(self) -> list[RenderableType]:
        """The call with all its arguments: who allows it has to see what it does."""
        short = signature(self.question.tool, self._args)
        if len(short) <= 60:
            return [Text.assemble(("? ", "bold yellow"), (short, "bold"))]
        lines = plain(write_arguments(self._args)).splitlines()
        shown = lines[:MOST_LINES]
        if len(lines) > MOST_LINES:
            shown.append(_("… %(count)d more lines; e shows them") % {"count": len(lines) - MOST_LINES})
        head = Text.assemble(("? ", "bold yellow"), (one_line(self.question.tool), "bold"))
        return [head, *(_indented(Text(line)) for line in shown)]


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))
