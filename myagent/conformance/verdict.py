"""What a check can come to, and the checks by their names."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["kept", "broken", "not checked"]
Ask = Callable[[Any], Coroutine[Any, Any, None]]
"""Asks a `Server`. Raises `Broken`, `NotChecked`."""


class Broken(Exception):
    """The server broke a rule; the words say how."""


class NotChecked(Exception):
    """The rule could not be tried with this server and these options; the words say what is missing."""


@dataclass(frozen=True)
class Check:
    """A rule of docs/protocol.md, and what finds out whether a server keeps it. `heading` is where the rule stands."""

    name: str
    rule: str
    heading: str
    ask: Ask


@dataclass(frozen=True)
class Verdict:
    """What a check came to; `words` say why, unless the rule is kept."""

    check: Check
    outcome: Outcome
    words: str = ""


def check(rule: str, *, heading: str) -> Callable[[Ask], Check]:
    """Make a check of a function that asks a server whether it keeps a rule; its own name is that of the check."""
    return lambda ask: Check(ask.__name__, rule, heading, ask)


def expect(holds: bool, words: str) -> None:
    """Raises `Broken` with these words, unless it holds."""
    if not holds:
        raise Broken(words)
