"""The source of what the user types: a person at a keyboard, or the one question of a command line.

No `prompt_toolkit` here: scripts do without it. `prompt.Prompt` is the person's line editor.
"""

from __future__ import annotations

import sys
import termios
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TextIO


class Key(Enum):
    """A key that ends the input without a text."""

    CTRL_C = auto()
    """Stop what is active. Pressed while a line is typed, it only empties the line."""
    CTRL_D = auto()
    """Leave; there is nothing more to say."""


@dataclass(frozen=True, slots=True)
class GaveWay:
    """The input ended because something else comes first; `draft` is what was typed so far."""

    draft: str = ""


Input = str | Key | GaveWay
"""What becomes of an input: the text that was typed, or why there is none."""


class InputSource(ABC):
    """What a conversation needs of the user."""

    can_answer: bool
    """Whether questions of tools can be asked."""
    leaves_line = True
    """Whether what was typed is still on the screen when `line` returns."""

    @abstractmethod
    async def line(self, draft: str = "") -> Input:
        """Read the next message; `draft` is typed already."""

    @abstractmethod
    async def ask(self, question: str, draft: str = "") -> Input:
        """Read the answer to a question, as far as it is typed after this call; `draft` is typed already."""

    @abstractmethod
    def give_way(self) -> None:
        """Let `line` or `ask` return `GaveWay`. Does nothing when neither waits."""


class OneQuestion(InputSource):
    """Has one message, and leaves after it. `other` answers the questions of tools, if there is a person."""

    def __init__(self, text: str, other: InputSource | None = None) -> None:
        self._text: str | None = text
        self._other = other
        self.can_answer = other is not None

    async def line(self, draft: str = "") -> Input:
        if self._text is None:
            return Key.CTRL_D
        text, self._text = self._text, None
        return text

    async def ask(self, question: str, draft: str = "") -> Input:
        return Key.CTRL_D if self._other is None else await self._other.ask(question, draft)

    def give_way(self) -> None:
        if self._other is not None:
            self._other.give_way()


@contextmanager
def quiet(stream: TextIO | None = None) -> Iterator[None]:
    """Keep what is typed from the screen and for the next prompt; Ctrl-C still interrupts.

    Does nothing where there is no terminal.
    """
    stream = stream or sys.stdin
    if not stream.isatty():
        yield
        return
    before = termios.tcgetattr(stream)
    now = termios.tcgetattr(stream)
    # Keys one by one and as they are: Enter stays Enter for the prompt that reads it later.
    now[0] &= ~termios.ICRNL
    now[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(stream, termios.TCSADRAIN, now)
    try:
        yield
    finally:
        termios.tcsetattr(stream, termios.TCSADRAIN, before)


def discard_typed(stream: TextIO | None = None) -> None:
    """Discard what was typed and not read yet."""
    stream = stream or sys.stdin
    if stream.isatty():
        termios.tcflush(stream, termios.TCIFLUSH)
