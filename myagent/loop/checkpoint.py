"""Where a run stands by its host's record, so that another process can go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from myagent.llm import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A call that has no result and has to run.

    `begun` says that its start is on record, `asked` that a person was asked whether it may run: then it does only
    after that person's yes, whatever the tool's rule says by now. `agreed` are arguments to run with unasked, because
    a person has agreed to them already.
    """

    begun: bool = False
    asked: bool = False
    agreed: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A run that is to go on. `step` is the last one whose reply is in the history, 0 for none.

    `open_calls` are those calls of that reply, by index, that have no result in the history.
    """

    step: int = 0
    usage: Usage = field(default_factory=Usage)
    open_calls: Mapping[int, OpenCall] = field(default_factory=dict)


START = Checkpoint()
"""A run that begins."""
