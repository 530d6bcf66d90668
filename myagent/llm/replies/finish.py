"""What the word says with which an endpoint ends a reply (`finish_reason`); every vendor has words of its own."""

from __future__ import annotations

import re
from enum import Enum, auto

_CUT_SHORT = re.compile(r"length|max_?\w*tokens?|token_?limit|context_?window", re.IGNORECASE)
_FILTERED = re.compile(
    r"filter|safety|sensitive|prohibited|blocklist|recitation|\bspii\b|refus|moderat|policy", re.IGNORECASE
)
_FAILED = re.compile(
    r"error|abort|fail|cancel|time_?d?_?out|insufficient|exhaust|unavailable|overload|malformed|unexpected|invalid"
    r"|disconnect|interrupt|preempt|crash|kill|unload",
    re.IGNORECASE,
)


class Ending(Enum):
    """How a reply ended."""

    WHOLE = auto()
    """The model had said what it wanted to say; also every word that is not known to mean something else."""
    CUT_SHORT = auto()
    """The limit of tokens was reached."""
    FILTERED = auto()
    """A filter for content stopped it."""
    FAILED = auto()
    """The endpoint gave up in the middle."""


def ending(finish: str) -> Ending:
    """How a reply with this finish reason ended."""
    if _CUT_SHORT.search(finish):
        return Ending.CUT_SHORT
    if _FILTERED.search(finish):
        return Ending.FILTERED
    return Ending.FAILED if _FAILED.search(finish) else Ending.WHOLE
