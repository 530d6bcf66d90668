"""The fields of an agent, with their checks. The loop reads them; `Agent` adds how a run is started."""

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
    """The frozen fields of an agent.

    Raises `AgentDefinitionError` for a value that cannot work.
    """

    name: str
    """The name that clients ask for."""
    description: str = ""
    """What the agent is for, for people."""
    tools: ToolCollection = field(default_factory=ToolCollection)
    """The tools that the model may call. Any iterable of tools and functions will do."""
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    """The first message that the model is sent; none when empty."""
    next_step_prompt: str | None = None
    """A system message at the end of every request to the model; it does not become part of the history."""
    max_steps: int = 20
    """The model calls of one run that may use tools. After them the model is asked for an answer without tools."""
    enable_tracing: bool = False
    """Whether spans of the calls of the model and of tools are recorded."""
    llm: LLM | None = None
    """The model; None is the one that the environment configures."""
    max_observe: int | None = 50_000
    """The characters of a tool's output that the model sees; None is no limit. A tool may have a lower one."""
    context_window: int | None = None
    """The tokens that the model is sent at most; None is what the model itself says, or 100,000."""
    compact: Compact = "cut"
    """What is done with messages that do not fit: `"cut"` leaves them out, `"summarize"` has the model sum them up."""
    when_busy: WhenBusy = "queue"
    """What is done with a message that comes during a run: `"queue"` it, `"reject"` it, or `"interrupt"` the run."""

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
