"""The blocks of a conversation: what is printed and stays on the screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from myagent.i18n import gettext as _

SHOWN_EXCHANGES = 10
"""How much of an older conversation is shown when it is resumed."""


@dataclass(frozen=True, slots=True)
class UserText:
    """A message of a user. Messages typed here are on the screen already."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Markdown of the agent. One that is not final was said beside tool calls."""

    text: str
    is_final: bool = True


@dataclass(frozen=True, slots=True)
class Voided:
    """What was shown last of an answer is void."""


@dataclass(frozen=True, slots=True)
class Thought:
    """The model's reasoning, which took so long and began like this."""

    seconds: float
    gist: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """A tool call with its result; `pictures` are the texts that stand for its pictures."""

    tool: str
    args: dict[str, Any] = field(default_factory=dict)
    status: str
    seconds: float
    output: str = ""
    error: str = ""
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a question of a tool that was given on another connection."""

    confirmed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a run ended that has an answer."""

    steps: int
    seconds: float
    input_tokens: int
    output_tokens: int
    cost: str | None = None
    """The amount and its currency, where it is known."""
    finish: str
    limit: str = ""
    """The option of the limit that was reached, if one was."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A run was cancelled."""

    words: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A run ended with an error, or a request was refused."""

    words: str
    code: str


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence from the terminal client itself."""

    words: str
    kind: Literal["quiet", "warning"] = "quiet"


Block = UserText | Answer | Voided | Thought | ToolOutcome | Answered | Finished | Stopped | Failed | Note


def newest(blocks: list[Block], exchanges: int = SHOWN_EXCHANGES) -> list[Block]:
    """The end of an older conversation, with a line for what is left out."""
    begins = [at for at, block in enumerate(blocks) if isinstance(block, UserText)]
    if len(begins) <= exchanges:
        return blocks
    words = _("Earlier messages that are not shown: %(count)d") % {"count": len(begins) - exchanges}
    return [Note(words), *blocks[begins[-exchanges] :]]
