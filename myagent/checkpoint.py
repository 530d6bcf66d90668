"""Where a run stands by its host's record, so that another process can go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from myagent.llm import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A run that is to go on. `step` is the last one whose reply is in the history, 0 for none.

    `open_calls` are those calls of that reply, by index, that have no result in the history and have to run. The value
    is what a person has agreed to already, as the arguments to run with; None where nothing was asked or answered.
    """

    step: int = 0
    usage: Usage = field(default_factory=Usage)
    open_calls: Mapping[int, Mapping[str, Any] | None] = field(default_factory=dict)


START = Checkpoint()
"""A run that begins."""
