"""`Checkpoint`: how far a run is stored, so that another process can resume it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from myagent.llm import Usage
from myagent.llm.fallback import AnsweringModel


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A call that has no result and has to run.

    `begun` says that its start is stored, `asked` that the user was asked whether it may run: then it needs that yes,
    even if the tool's rule has changed. `agreed` are arguments that the user has agreed to already.
    """

    begun: bool = False
    asked: bool = False
    agreed: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class AskedCall:
    """A call that the model asked for in a step."""

    step: int
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where to resume a run. `step` is the last one whose reply is in the history, 0 for none.

    `open_calls` are those calls of that reply, by index, that have no result in the history. `answering` is the model
    that the run had turned to, None when it was with the first one. `said` is how many messages of the user the run has
    in the history: the one that it answers, and those that it has read since. `calls` are all calls of the run in their
    order, `seconds` what it has taken without what it waited for people.
    """

    step: int = 0
    usage: Usage = field(default_factory=Usage)
    open_calls: Mapping[int, OpenCall] = field(default_factory=dict)
    answering: AnsweringModel | None = None
    said: int = 1
    calls: Sequence[AskedCall] = ()
    seconds: float = 0.0


START = Checkpoint()
"""A run that begins."""
