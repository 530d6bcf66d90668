"""The line editor of a person at a keyboard, with history. The only module that loads `prompt_toolkit`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import DummyHistory, FileHistory, History, InMemoryHistory
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.utils import is_dumb_terminal

from myagent.terminal.commands import commands
from myagent.terminal.input import GaveWay, Input, InputSource, Key, discard_typed
from myagent.terminal.render import PROMPT

logger = logging.getLogger("myagent.terminal")


class Prompt(InputSource):
    """Enter sends, Alt-Enter begins a new line, as does a pasted one; Ctrl-C empties the line before it interrupts."""

    can_answer = True

    def __init__(self, history: History) -> None:
        output = _output()
        self.leaves_line = is_dumb_terminal()
        self._lines = _session(
            output, history=history, completer=WordCompleter([f"/{name}" for name in commands()], sentence=True)
        )
        self._answers = _session(output, history=DummyHistory())
        self._waiting: PromptSession[Input] | None = None

    async def line(self, draft: str = "") -> Input:
        # Taken away when it is sent, and printed as all else is: a long text has more lines than a prompt can draw.
        return await self._read(self._lines, PROMPT, draft, erase=not self.leaves_line)

    async def ask(self, question: str, draft: str = "") -> Input:
        # What was typed before the question could be read is no answer to it.
        discard_typed()
        clear_typeahead(self._answers.app.input)
        return await self._read(self._answers, question, draft)

    async def _read(self, session: PromptSession[Input], message: str, draft: str, *, erase: bool = False) -> Input:
        self._waiting = session
        session.app.erase_when_done = erase
        try:
            # Ctrl-C comes as a key here, and not as a signal, which is the conversation's.
            return await session.prompt_async(
                FormattedText([("bold fg:ansicyan", message)]), default=draft, handle_sigint=False
            )
        except EOFError:  # Ctrl-D, or the terminal was closed
            return Key.CTRL_D
        finally:
            self._waiting = None

    def give_way(self) -> None:
        if self._waiting is None:
            return
        app = self._waiting.app
        if app.is_running and app.future is not None and not app.future.done():
            app.erase_when_done = True
            app.exit(result=GaveWay(self._waiting.default_buffer.text))


def _session(output: Output, *, history: History, completer: WordCompleter | None = None) -> PromptSession[Input]:
    return PromptSession(
        history=history,
        completer=completer,
        complete_style=CompleteStyle.READLINE_LIKE,
        complete_while_typing=False,
        multiline=True,
        enable_suspend=True,
        key_bindings=_keys(),
        output=output,
    )


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def interrupt(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(result=Key.CTRL_C)

    return keys


def _output() -> Output:
    """The terminal, also where standard output goes into a file."""
    stream = sys.stdout if sys.stdout.isatty() else sys.stderr
    if is_dumb_terminal():
        return create_output(stream)
    # Without asking the terminal where its cursor is: an answer that comes late would count as typed.
    output = Vt100_Output.from_pty(stream, term=os.environ.get("TERM"))
    output.enable_cpr = False
    return output


def history_file() -> Path:
    """The history file of the user of this terminal, in the data folder of their system."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "myagent" / "history"


def open_history(path: Path) -> History:
    """The history in a file that only its owner can read; in memory where there can be no file."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        logger.debug("What is typed is not kept: %s", error)
        return InMemoryHistory()
    return _History(str(path))


class _History(FileHistory):
    def store_string(self, string: str) -> None:
        try:
            super().store_string(string)
        except OSError as error:  # a full disk is no reason not to send the message
            logger.debug("What was typed is not kept: %s", error)
