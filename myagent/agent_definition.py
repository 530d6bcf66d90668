"""The fields of an agent, with their checks. The loop reads them; `Agent` adds how a run is started."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from myagent.exceptions import AgentDefinitionError
from myagent.hooks import AuthorCode, HookCollection, ToolChoice
from myagent.i18n import gettext as _
from myagent.llm import LLM
from myagent.llm.usable import unusable_llm
from myagent.tool.collection import ToolCollection
from myagent.tool.output_form import OutputForm, output_form

WhenBusy = Literal["queue", "reject", "interrupt", "steer"]
ToolErrors = Literal["class", "message"]
Compact = Literal["cut", "summarize"]
Accepts = Literal["images", "files", "output_schema"]
MOST_EXAMPLES = 12
LONGEST_EXAMPLE = 200
"""Characters of one of them."""
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
    examples: Sequence[str] = ()
    """What people may say to it first; pages offer these texts while a conversation is empty."""
    tools: ToolCollection = field(default_factory=ToolCollection)
    """The tools that the model may call. Any iterable of tools and functions will do; or a function of the
    `RunContext`, `def` or `async def`, that returns one, and is called for each run.
    """
    system_prompt: str | Callable[..., Any] = DEFAULT_SYSTEM_PROMPT
    """The first message that the model is sent; none when empty. A function of the `RunContext`, `def` or `async def`,
    is called for each run.
    """
    next_step_prompt: str | None = None
    """A system message at the end of every request to the model; it does not become part of the history."""
    max_steps: int = 20
    """The model calls of one run that may use tools. After them the model is asked for an answer without tools."""
    max_tokens: int | None = None
    """The model tokens of one run, input and output of all its calls of the model; None is no limit."""
    max_tool_calls: int | None = None
    """The tool calls of one run; None is no limit."""
    max_seconds: float | None = None
    """The seconds that one run may take, without those in which it waits for a person; None is no limit."""
    repeat_limit: int | None = 3
    """How many replies in a row may make the same call with equal arguments; None is no limit."""
    max_parallel_tools: int | None = None
    """The tool calls of one reply that run at the same time; None is no limit."""
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
    tool_errors: ToolErrors = "class"
    """What the model and the client are told of an exception in a tool: its `"class"`, or the first line of its
    `"message"`, which may hold what is not for them.
    """
    when_busy: WhenBusy | Sequence[WhenBusy] = "queue"
    """What is done with a message that comes during a run: `"queue"` it, `"reject"` it, `"interrupt"` the run, or
    `"steer"` it: the model reads the message before its next step. Of several, each message may ask for one; the first
    is for those that do not.
    """

    accepts: Collection[Accepts] = ("images", "files")
    """What messages may hold beside text: `"images"`, and other `"files"`; and `"output_schema"`, what the answer to it
    has to be. All else is refused before it is stored.
    """
    hooks: HookCollection = field(default_factory=HookCollection)
    """Functions that look at what goes through a run, change it or end the run. Any iterable of them will do."""
    output: OutputForm | None = None
    """What each answer has to be: a pydantic model, a dataclass, or the JSON schema of an object. None is text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tools", ToolCollection(self.tools))
        if self.tools.function is not None:
            ToolChoice(self.tools.function)
        _check_text("name", self.name, blank=False)
        _check_text("description", self.description)
        if callable(self.system_prompt):
            AuthorCode(self.system_prompt, parameters=1)
        else:
            _check_text("system_prompt", self.system_prompt)
        object.__setattr__(self, "hooks", HookCollection(self.hooks))
        object.__setattr__(self, "examples", _short_texts("examples", self.examples))
        if self.next_step_prompt is not None:
            _check_text("next_step_prompt", self.next_step_prompt)
        _check_count("max_steps", self.max_steps)
        for option in ("max_observe", "context_window", "max_tokens", "max_tool_calls", "max_parallel_tools"):
            if getattr(self, option) is not None:
                _check_count(option, getattr(self, option))
        for mode in self.modes_when_busy or (self.when_busy,):
            _check_choice("when_busy", mode, get_args(WhenBusy))
        if self.repeat_limit is not None:
            _check_count("repeat_limit", self.repeat_limit, least=2)
        if self.max_seconds is not None:
            _check_seconds("max_seconds", self.max_seconds)
        _check_choice("tool_errors", self.tool_errors, get_args(ToolErrors))
        _check_choice("compact", self.compact, get_args(Compact))
        object.__setattr__(self, "accepts", _accepted(self.accepts))
        object.__setattr__(self, "output", output_form(self.output, self.tools, self.accepts))
        if self.llm is not None and (problem := unusable_llm(self.llm)) is not None:
            raise AgentDefinitionError(problem)

    @property
    def modes_when_busy(self) -> tuple[WhenBusy, ...]:
        """What a message that comes during a run may ask for; what is done without being asked comes first."""
        given: Any = self.when_busy
        modes: tuple[Any, ...] = (given,) if isinstance(given, str) else tuple(given)
        return modes


def _check_text(option: str, value: object, *, blank: bool = True) -> None:
    if not isinstance(value, str) or not (blank or value.strip()):
        words = _("%(option)s=%(value)r: it should be text.")
        raise AgentDefinitionError(words % {"option": option, "value": value})


def _short_texts(option: str, value: object) -> tuple[str, ...]:
    texts = tuple(value) if isinstance(value, list | tuple) else ()
    is_fit = isinstance(value, list | tuple) and len(texts) <= MOST_EXAMPLES
    if not is_fit or not all(isinstance(text, str) and 0 < len(text.strip()) <= LONGEST_EXAMPLE for text in texts):
        words = _(
            "%(option)s=%(value).200r: it should be a list of at most %(most)d texts of at most %(longest)d characters."
        )
        about = {"option": option, "value": value, "most": MOST_EXAMPLES, "longest": LONGEST_EXAMPLE}
        raise AgentDefinitionError(words % about)
    return tuple(text.strip() for text in texts)


def _check_count(option: str, value: object, *, least: int = 1) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        words = _("%(option)s=%(value)r: it should be a whole number from %(least)d.")
        raise AgentDefinitionError(words % {"option": option, "value": value, "least": least})


def _check_seconds(option: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        words = _("%(option)s=%(value)r: it should be a number of seconds.")
        raise AgentDefinitionError(words % {"option": option, "value": value})


def _accepted(value: Any) -> tuple[Any, ...]:
    kinds = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    for kind in kinds:
        _check_choice("accepts", kind, get_args(Accepts))
    return kinds


def _check_choice(option: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        words = _("%(option)s=%(value)r: choose one of %(known)s.")
        raise AgentDefinitionError(words % {"option": option, "value": value, "known": ", ".join(choices)})
