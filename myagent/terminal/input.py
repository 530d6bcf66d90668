"""Who is asked for the next message: somebody at a keyboard, or the one question of a command line."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Left(Exception):
    """There is nothing more to say (Ctrl-D)."""


class Interrupted(Exception):
    """Ctrl-C was pressed with nothing typed."""


class Woken(Exception):
    """Something happened meanwhile; `text` is what was typed so far."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        super().__init__(text)


class Asking(ABC):
    """What a conversation needs of whoever it is with."""

    can_answer: bool
    """Whether questions of tools can be asked."""
    leaves_line = True
    """Whether what was typed is still on the screen when `line` returns."""

    @abstractmethod
    async def line(self, draft: str = "") -> str:
        """What is said next, begun with `draft`. Raises `Left`, `Interrupted`, `Woken`."""

    @abstractmethod
    async def ask(self, question: str, draft: str = "") -> str:
        """The answer to a question, begun with `draft` and typed after it was asked. Raises the same."""

    @abstractmethod
    def wake(self) -> None:
        """Let whoever waits in `line` or `ask` raise `Woken`."""


class OneQuestion(Asking):
    """Says one thing, and has left after that. `other` answers the questions, if there is somebody."""

    def __init__(self, text: str, other: Asking | None = None) -> None:
        self._text: str | None = text
        self._other = other
        self.can_answer = other is not None

    async def line(self, draft: str = "") -> str:
        if self._text is None:
            raise Left
        text, self._text = self._text, None
        return text

    async def ask(self, question: str, draft: str = "") -> str:
        if self._other is None:
            raise Left
        return await self._other.ask(question, draft)

    def wake(self) -> None:
        if self._other is not None:
            self._other.wake()
