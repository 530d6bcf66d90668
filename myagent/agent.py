"""An agent: what a plain Python file defines, and what every session of it shares."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from myagent.events import RunFinished
from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.llm import LLM
from myagent.loop import react
from myagent.loop.host import ConfirmationRequest, RunContext
from myagent.loop.local_host import LocalHost
from myagent.messages import Content, Message
from myagent.tool.collection import ToolCollection

WhenBusy = Literal["queue", "reject", "interrupt"]
Compact = Literal["cut", "summarize"]
DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant. Use the tools you have when they help to answer."


@dataclass(frozen=True, kw_only=True)
class Agent:
    """The definition of an agent. It holds no conversation, so any number of sessions may share it.

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

    async def arun(
        self,
        text: Content,
        *,
        history: Sequence[Message] = (),
        confirm: Callable[[ConfirmationRequest], Awaitable[bool]] | None = None,
    ) -> str:
        """Answer `text` without a server; returns the final answer's text.

        `history` holds earlier messages of the conversation. `confirm` is asked for the tools that need a
        confirmation; without it they are declined. Raises `RunError` when the model cannot be asked.
        """
        context = RunContext(session_id="local", run_id=uuid.uuid4().hex, agent=self.name)
        messages = [*history, Message.user(text)]
        events = react.run(self, messages, host=LocalHost(confirm), context=context, llm=self.llm or default_llm())
        async with aclosing(events):
            async for event in events:
                if isinstance(event, RunFinished):
                    return event.text
        raise AssertionError("a run that ends without an error ends with RunFinished")


def default_llm() -> LLM:
    """The model that the environment names (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, `LLM_MODEL`)."""
    # Imported here because the openai package takes about a second, which `import myagent` should not.
    from myagent.llm.openai import OpenAILLM

    return OpenAILLM()


def create_react_agent(
    name: str = "agent",
    tools: Iterable[Any] = (),
    system_prompt: str = DEFAULT_SYSTEM_PROMPT,
    **options: Any,
) -> Agent:
    """Define an agent; `options` are the other fields of `Agent`.

    Raises `AgentDefinitionError` for an option that does not exist or cannot be.
    """
    known = [item.name for item in fields(Agent)]
    unknown = sorted(options.keys() - known)
    if unknown:
        words = _("create_react_agent() has no option %(unknown)s. It knows: %(known)s.")
        raise AgentDefinitionError(words % {"unknown": ", ".join(map(repr, unknown)), "known": ", ".join(known)})
    if isinstance(options.get("llm"), str):
        from myagent.llm.openai import OpenAILLM  # see default_llm

        options["llm"] = OpenAILLM(options["llm"])
    return Agent(name=name, tools=ToolCollection(tools), system_prompt=system_prompt, **options)


create_toolcall_agent = create_react_agent


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
