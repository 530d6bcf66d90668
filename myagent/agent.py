"""`Agent`, which an agent file defines and all its sessions share, and the functions that make one."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, fields
from typing import Any

from myagent.agent_definition import DEFAULT_SYSTEM_PROMPT, AgentDefinition
from myagent.events import RunFinished
from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.llm import LLM
from myagent.loop import react
from myagent.loop.host import ConfirmationRequest
from myagent.loop.local_host import LocalHost
from myagent.messages import Content, Message
from myagent.run_context import RunContext
from myagent.tool.collection import ToolCollection


@dataclass(frozen=True, kw_only=True)
class Agent(AgentDefinition):
    """An agent: a frozen definition that any number of sessions may share, since it holds no conversation.

    Its fields are those of `AgentDefinition`. `create_react_agent` makes one with the usual defaults. Raises
    `AgentDefinitionError` for a field that cannot work.
    """

    async def arun(
        self,
        text: Content,
        *,
        history: Sequence[Message] = (),
        confirm: Callable[[ConfirmationRequest], Awaitable[bool]] | None = None,
    ) -> str:
        """Answer `text` without a server and return the text of the final answer.

        `text` is a string or a list of OpenAI content parts. `history` are the earlier messages of the conversation,
        without a system message. `confirm` is awaited for each call that needs a confirmation, and returns whether it
        is allowed; without `confirm` such calls are declined. Tools run in the caller's event loop, plain `def` ones in
        threads.

        Raises `RunError` when the model cannot be asked.
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
    """The model that the environment configures (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, `LLM_MODEL`)."""
    # Imported here because the openai package takes about a second, which `import myagent` should not.
    from myagent.llm.openai import OpenAILLM

    return OpenAILLM()


def create_react_agent(
    name: str = "agent",
    tools: Iterable[Any] = (),
    system_prompt: str = DEFAULT_SYSTEM_PROMPT,
    **options: Any,
) -> Agent:
    """Make an `Agent`.

    `tools` are tools or plain functions, each name once. `options` are the other fields of `Agent`; as `llm` the name
    of a model at the environment's endpoint will do, too.

    Raises `AgentDefinitionError` for an unknown option, or for a value or a tool that cannot work.
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
