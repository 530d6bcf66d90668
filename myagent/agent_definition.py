"""The fields of an agent and their checks: what the loop reads. `Agent` adds how it is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.llm import LLM
from myagent.tool.collection import ToolCollection

WhenBusy = Literal["queue", "reject", "interrupt"]
Compact = Literal["cut", "summarize"]
DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant. Use the tools you have when they help to answer."


@dataclass(frozen=True, kw_only=True)
class AgentDefinition:
    """What an agent is made of; frozen.

    `max_steps` limits the model calls of one run that may use tools, `max_observe` the characters of a tool's output
    that the model sees, `context_window` the tokens of history that it is sent (None: what the model itself says, or
    100,000). What is older is left out, or with `compact="summarize"` summarised by the model. `llm` None stands for
    the endpoint that the environment names.
    """

    name: str
    description: str = ""
    tools: ToolCollection = field(default_factory=ToolCollection)
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    next_step_prompt: str | None = None
    max_steps: int = 20
    enable_tracing: bool = False
    llm: LLM | None = None
    max_observe: int | None = 50_000
    context_window: int | None = None
    compact: Compact = "cut"
    when_busy: WhenBusy = "queue"

    def __post_init__(self) -> None:
        object.__setattr__(self, "tools", ToolCollection(self.tools))
        _check_text("name", self.name, blank=False)
        for option in ("description", "system_prompt"):
            _check_text(option, getattr(self, option))
        if self.next_step_prompt is not None:
            _check_text("next_step_prompt", self.next_step_prompt)
        _check_count("max_steps", self.max_steps)
        for option in ("max_observe", "context_window"):
            if getattr(self, option) is not None:
                _check_count(option, getattr(self, option))
        _check_choice("when_busy", self.when_busy, get_args(WhenBusy))
        _check_choice("compact", self.compact, get_args(Compact))


def _check_text(option: str, value: object, *, blank: bool = True) -> None:
    if not isinstance(value, str) or not (blank or value.strip()):
        words = _("%(option)s=%(value)r: it should be text.")
        raise AgentDefinitionError(words % {"option": option, "value": value})


def _check_count(option: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        words = _("%(option)s=%(value)r: it should be a whole number from 1.")
        raise AgentDefinitionError(words % {"option": option, "value": value})


def _check_choice(option: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        words = _("%(option)s=%(value)r: choose one of %(known)s.")
        raise AgentDefinitionError(words % {"option": option, "value": value, "known": ", ".join(choices)})
