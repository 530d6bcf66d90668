"""Which point of a session is to be forked: by number, or from a list of what was said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _
from myagent.terminal.render import OneLine
from myagent.terminal.safe_text import one_line
from myagent.terminal.said_messages import SaidMessage

SHOWN = 20


class NoSuchMessage(MyAgentError):
    """What was typed is no number of the list."""

    code = "no_such_message"

    def __init__(self, given: str, count: int) -> None:
        self.given = given
        words = _("%(given)s is no number of a message: 1 is the newest of %(count)d, and 0 takes everything.")
        super().__init__(words % {"given": one_line(given), "count": count})


@dataclass(frozen=True, slots=True)
class ForkChoice:
    """The message before which a session is forked, and what is said in its place; without it, all that is finished.

    `words` None says the same message once more.
    """

    before: str | None
    words: str | None = None


def choose(argument: str, messages: Sequence[SaidMessage]) -> ForkChoice:
    """From `NUMBER [WORDS]`; `messages` are newest first, and the newest has the number 1. Raises `NoSuchMessage`."""
    number, _space, words = argument.strip().partition(" ")
    if not (number.isascii() and number.isdecimal() and len(number) < 10) or int(number) > len(messages):
        raise NoSuchMessage(number, len(messages))
    if int(number) == 0:
        if words.strip():
            raise NoSuchMessage(argument.strip(), len(messages))
        return ForkChoice(None)
    return ForkChoice(messages[int(number) - 1].id, words.strip() or None)


def message_lines(messages: Iterable[SaidMessage]) -> Iterator[OneLine]:
    """A line for each message, with its number from 1, and one for all that is finished."""
    for number, message in enumerate(messages, start=1):
        yield _line(number, Text(one_line(message.text)))
    yield _line(0, Text(_("everything up to the last finished step; nothing is said"), style="dim"))


def _line(number: int, what: Text) -> OneLine:
    return OneLine(lambda width: Text.assemble((f"{number:>3} ", "cyan"), what))
