"""`Agent`, which an agent file defines and all its sessions share, and the functions that make one."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from myagent.agent_definition import DEFAULT_SYSTEM_PROMPT, AgentDefinition
from myagent.agent_options import KNOWN, SYNONYMS, read_options
from myagent.events import RunFinished
from myagent.exceptions import AgentDefinitionError, LLMError
from myagent.hooks import F, HookPoint
from myagent.i18n import gettext as _
from myagent.llm import LLM
from myagent.llm.choice import chosen_llm
from myagent.llm.fallback import for_run
from myagent.loop import react
from myagent.loop.host import ConfirmationRequest
from myagent.loop.local_host import LocalHost
from myagent.loop.uncaught import end_in_a_sentence
from myagent.messages import Content, Message
from myagent.run_context import RunContext
from myagent.tool.attributes import is_library
from myagent.tool.pydantic_fields import give_values
from myagent.tool.source_location import location_of_attribute

_PASSED_BY = frozenset(
    {
        *("arun", "run", "step", "think", "act", "execute_tool", "cleanup", "is_stuck", "handle_stuck_state"),
        *("_handle_special_tool", "_should_finish_execution", "_is_special_tool", "update_memory", "initialize_agent"),
    }
)
"""Methods that run an agent, or a part of it, where it is not the server that does."""


@dataclass(frozen=True, kw_only=True)
class Agent(AgentDefinition):
    """An agent: a frozen definition that any number of sessions may share, since it holds no conversation.

    Its fields are those of `AgentDefinition`. `create_react_agent` makes one with the usual defaults. Raises
    `AgentDefinitionError` for a field that cannot work.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for klass in _authored(type(self)):
            for name in _PASSED_BY.intersection(vars(klass)):
                words = _(
                    "%(class)s: the server runs agents itself and passes %(name)s() by. Put what it does into tools."
                )
                at = location_of_attribute([klass], name)
                raise AgentDefinitionError(words % {"class": klass.__name__, "name": name}, at=at)

    def hook(self, point: HookPoint) -> Callable[[F], F]:
        """Register a function, `def` or `async def`, for this point of each run: `@agent.hook("answer")`.

        Meant for the agent's file: runs that have begun may not notice. Raises `AgentDefinitionError`.
        """
        return partial(self.hooks.add, point)

    async def arun(
        self,
        text: Content,
        *,
        history: Sequence[Message] = (),
        confirm: Callable[[ConfirmationRequest], Awaitable[bool]] | None = None,
        memory: MutableMapping[str, str] | None = None,
    ) -> Any:
        """Answer `text` without a server and return the text of the final answer: a string, unless the agent has an
        `output`. Then it is the value: an object of its class, or the JSON in Python's types.

        `text` is a string or a list of OpenAI content parts. `history` are the earlier messages of the conversation,
        without a system message. `confirm` is awaited for each call that needs a confirmation, and returns whether it
        is allowed; without `confirm` such calls are declined. `memory` is what tools and hooks find in
        `RunContext.memory`, such as a dict that the caller keeps; without it they find what they find for an anonymous
        user. Tools run in the caller's event loop, plain `def` ones in
        threads.

        Raises `RunError` when the model cannot be asked or gives no such value. A script that does not catch it ends
        with its sentence alone.
        """
        context = RunContext(session_id="local", run_id=uuid.uuid4().hex, agent=self.name, memory=memory)
        messages = [*history, Message.user(text)]
        llm = for_run(self.llm or default_llm())
        events = react.run(self, messages, host=LocalHost(confirm), context=context, llm=llm)
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, RunFinished):
                        return event.text if self.output is None else event.instance
        except LLMError:
            end_in_a_sentence()
            raise
        raise AssertionError("a run that ends without an error ends with RunFinished")

    async def run(self, text: Content, **options: Any) -> Any:
        """The same as `arun`."""
        return await self.arun(text, **options)


def default_llm() -> LLM:
    """The model that the environment configures (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, `LLM_MODEL`)."""
    # Imported here because the openai package takes about a second, which `import myagent` should not.
    from myagent.llm.openai import OpenAILLM

    return OpenAILLM()


def create_react_agent(
    name: str = "agent",
    tools: Iterable[Any] | Callable[..., Any] | None = (),
    system_prompt: str | Callable[..., Any] | None = DEFAULT_SYSTEM_PROMPT,
    **options: Any,
) -> Agent:
    """Make an `Agent`.

    `tools` are tools or plain functions, each name once; or a function of the `RunContext` that returns those of one
    run. `options` are the other fields of `Agent`; as `llm` the name
    of a model at the environment's endpoint will do, too, and so will a list: when a model of it cannot answer, the
    next one does.

    Raises `AgentDefinitionError` for an unknown option, or for a value or a tool that cannot work.
    """
    given = {"name": name, "tools": tools, "system_prompt": system_prompt, **options}
    return Agent(**_with_model(read_options(given, caller="create_react_agent()")))


create_toolcall_agent = create_react_agent


class ToolCallAgent(Agent):
    """An agent whose options are the attributes of a class of its author's, or keywords; `available_tools` are tools.

    The server runs it as any other agent, and so refuses a class with methods that expect to run it themselves. Raises
    `AgentDefinitionError`.
    """

    def __init_subclass__(cls) -> None:
        give_values(cls)

    def __init__(self, **options: Any) -> None:
        cls = type(self)
        declared = {
            name for klass in _authored(cls) for name in (*vars(klass), *vars(klass).get("__annotations__", ()))
        }
        names = (*KNOWN, *SYNONYMS)
        given = {"name": cls.__name__} | {name: getattr(self, name) for name in names if name in declared} | options
        for name in declared.intersection(options) - set(names):
            object.__setattr__(self, name, given.pop(name))
        super().__init__(**_with_model(read_options(given, caller=f"{cls.__name__}()")))


def _with_model(options: dict[str, Any]) -> dict[str, Any]:
    if "llm" in options:
        options["llm"] = chosen_llm(options["llm"])
    return options


def _authored(cls: type) -> list[type]:
    return [klass for klass in cls.__mro__ if not is_library(klass.__module__)]
