"""What a run asks of its agent's functions before it begins: its system prompt, and its tools."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from myagent.agent_definition import AgentDefinition
from myagent.events import AgentEvent
from myagent.exceptions import HookFailed, Refuse
from myagent.hooks import AuthorCode, ToolChoice
from myagent.i18n import gettext as _
from myagent.llm import Usage
from myagent.llm.output_tool import OUTPUT_TOOL
from myagent.loop.author_code import CodePlace, run_author_code, wrong_value
from myagent.loop.history import History
from myagent.loop.host import Host
from myagent.loop.run_hooks import refused
from myagent.run_context import RunContext
from myagent.text import clean
from myagent.tool.collection import ToolCollection
from myagent.tracing.spans import Trace


class RunSetup:
    """Asks the functions once for each run, and once more when it is taken over."""

    def __init__(
        self, agent: AgentDefinition, history: History, *, host: Host, context: RunContext, trace: Trace, step: int
    ) -> None:
        self._agent = agent
        self._history = history
        self._host = host
        self._context = context
        self._trace = trace
        self._step = step

    async def before(
        self, events: AsyncGenerator[AgentEvent], usage: Usage, *, has_output: bool
    ) -> AsyncGenerator[AgentEvent]:
        """The events of the run, whose prompt and tools are what the functions say; they may refuse. The tools are
        given to `agent`, which has to be a copy of this run's own. Raises `HookFailed`.
        """
        try:
            if callable(self._agent.system_prompt):
                self._history.instruct(await self._system_prompt(AuthorCode(self._agent.system_prompt, parameters=1)))
            if self._agent.tools.function is not None:
                tools = await self._tools(ToolChoice(self._agent.tools.function), has_output=has_output)
                object.__setattr__(self._agent, "tools", tools)
        except Refuse as refusal:
            yield refused(refusal, self._step, usage)
            return
        async with aclosing(events):
            async for event in events:
                yield event

    async def _system_prompt(self, code: AuthorCode) -> str:
        given = await self._ask(code, "system_prompt")
        if not isinstance(given, str | None):
            raise wrong_value(code, given)
        return clean(given or "")

    async def _tools(self, code: ToolChoice, *, has_output: bool) -> ToolCollection:
        tools: ToolCollection = await self._ask(code, "tools")
        if has_output and OUTPUT_TOOL in tools:
            words = _("The tool %(tool)r needs another name: an agent with an output has one of this name.")
            raise HookFailed(words % {"tool": OUTPUT_TOOL})
        return tools

    async def _ask(self, code: AuthorCode, option: str) -> Any:
        place = CodePlace(point=option, step=self._step)
        return await run_author_code(code, {}, place=place, host=self._host, context=self._context, trace=self._trace)
