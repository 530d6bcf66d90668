"""`RunHooks`: calls the hooks of an agent in one run, and ends the run when one of them refuses.

After a takeover what was done before the crash is not done again, but a hook that was called may be called once more.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson

from myagent.agent_definition import AgentDefinition
from myagent.events import AgentEvent, ReasoningDelta, RunFinished, StepStarted, TextDelta, ToolProgress
from myagent.exceptions import HookFailed, Refuse, RetryTool
from myagent.hooks import Hook, HookedAnswer, HookedCall, HookPoint
from myagent.i18n import gettext as _
from myagent.llm import Usage
from myagent.loop.author_code import CodePlace, HasAgreed, run_author_code
from myagent.loop.checkpoint import Checkpoint
from myagent.loop.history import History
from myagent.loop.hook_values import as_answer, as_arguments, as_prompt, as_reply, as_result, as_user_message
from myagent.loop.host import Host
from myagent.loop.limited_model import LimitedModel
from myagent.loop.prepared_calls import PreparedCall
from myagent.messages import Message
from myagent.run_context import RunContext
from myagent.text import clean
from myagent.tool.base_tool import BaseTool, ToolResult
from myagent.tracing.spans import Trace

logger = logging.getLogger("myagent.hooks")

Progress = Callable[[ToolProgress], None]


class RunHooks:
    """The hooks of one run."""

    def __init__(
        self,
        agent: AgentDefinition,
        history: History,
        checkpoint: Checkpoint,
        *,
        host: Host,
        context: RunContext,
        trace: Trace,
    ) -> None:
        self._step = checkpoint.step
        self._said = checkpoint.said
        self._messages_read = 0
        self._trace = trace
        self._hooks = agent.hooks
        self._history = history
        self._host = host
        self._context = context
        self.refusal: Refuse | None = None
        """Why a tool's hook ends the run: when the calls of the step have their results."""
        self._waits_for_tools = bool(agent.hooks.at("before_tool"))
        self._hides_steps = bool(agent.hooks.at("answer"))
        self._holds_text = self._hides_steps or bool(agent.hooks.at("after_model"))

    # --- the run ---

    async def guarded(
        self, events: AsyncGenerator[AgentEvent], usage: Callable[[], Usage]
    ) -> AsyncGenerator[AgentEvent]:
        """The events of the run, which ends in words when a hook refuses."""
        try:
            await self._read_messages()
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, StepStarted):
                        self._step = event.step
                    yield await self._answer(event) if isinstance(event, RunFinished) else event
        except Refuse as refusal:
            yield refused(refusal, self._step, usage())

    async def _read_messages(self) -> None:
        for at, message in self._history.newest_said(self._said):
            self._history.replace(at, await self.read(message))

    async def read(self, message: Message) -> Message:
        """What the user said, as the model is to read it."""
        self._messages_read += 1
        read: Message = await self._each("user_message", message, as_user_message, at=self._messages_read)
        return read

    async def _answer(self, answer: RunFinished) -> RunFinished:
        if not self._hides_steps:
            return answer
        shown = HookedAnswer(text=answer.text, output=copy.deepcopy(answer.output))
        changed = await self._each("answer", shown, as_answer)
        if changed.text == answer.text:
            return answer
        parts = [changed.text] if answer.output is None else [changed.text, orjson.dumps(answer.output).decode()]
        return replace(answer, text=changed.text, message=Message.assistant("\n\n".join(parts)))

    # --- the model ---

    async def before_model(self, prompt: list[Message]) -> list[Message]:
        """What the model is sent."""
        return await self._each("before_model", prompt, as_prompt) if self._hooks.at("before_model") else prompt

    async def asked(
        self, asking: AsyncGenerator[AgentEvent], step: int, limited: LimitedModel
    ) -> AsyncGenerator[AgentEvent]:
        """The events of a step without text that has not passed; the reply is what hooks make of it."""
        async with aclosing(asking):
            async for event in asking:
                if not (self._holds_text and isinstance(event, TextDelta | ReasoningDelta)):
                    yield event
        if limited.was_stopped or not self._holds_text:
            return
        reply = limited.model.reply = await self._each("after_model", limited.model.reply, as_reply)
        if reply.text and not self._hides_steps:
            yield TextDelta(step=step, text=reply.text)

    # --- tools ---

    def before_start(self, calls: list[PreparedCall]) -> list[PreparedCall]:
        """The calls, which begin only after a hook where there is one: its arguments are stored with the start."""
        if not self._waits_for_tools:
            return calls
        return [
            replace(call, requested=replace(call.requested, waits=True), reports_start=True)
            if call.problem is None
            else call
            for call in calls
        ]

    async def before_tool(
        self, call: PreparedCall, on_progress: Progress, *, has_agreed: bool = False
    ) -> Mapping[str, Any]:
        """The arguments to run with; with `has_agreed` the user has given these and is not asked about them again.

        Raises `Refuse` and `ToolError`.
        """
        host = HasAgreed(self._host) if has_agreed else self._host
        arguments = call.arguments
        for number, hook in enumerate(self._hooks.at("before_tool")):
            shown = _shown(call, arguments)
            given = await self._run(hook, shown, number, host=host, call=call, on_progress=on_progress)
            arguments = arguments if given is None else as_arguments(hook, given)
        return arguments

    async def after_tool(self, call: PreparedCall, result: ToolResult, on_progress: Progress) -> ToolResult:
        """The result that counts. Raises `Refuse` and `ToolError`."""
        for number, hook in enumerate(self._hooks.at("after_tool")):
            shown = _shown(call, call.arguments, result)
            given = await self._run(hook, shown, number, host=self._host, call=call, on_progress=on_progress)
            result = result if given is None else as_result(hook, given)
        return result

    def checked(self, tool: BaseTool, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that a hook has given. Raises `HookFailed` where they do not suit the tool."""
        try:
            return tool.check(dict(arguments))
        except RetryTool as error:
            words = _("The answer was stopped: a hook gave %(tool)s wrong arguments.")
            logger.error("A hook gave the tool %r wrong arguments: %s", tool.name, error)
            raise HookFailed(words % {"tool": tool.name}) from error

    def refuse(self, refusal: Refuse) -> str:
        """Let the run end when the calls of this step have their results. Returns the result of this one."""
        self.refusal = self.refusal or refusal
        return _words(refusal)

    # --- all of them ---

    async def _each(
        self, point: HookPoint, value: Any, take: Callable[[Hook, Any, Any], Any], *, at: int | None = None
    ) -> Any:
        """Show `value` to one hook after the other; each may make another of it. `at` is its place, if not the step."""
        for number, hook in enumerate(self._hooks.at(point)):
            shown = list(value) if isinstance(value, list) else value
            given = await self._run(hook, shown, number, host=self._host, at=at)
            value = value if given is None else take(hook, given, value)
        return value

    async def _run(
        self,
        hook: Hook,
        value: Any,
        number: int,
        *,
        host: Host,
        call: PreparedCall | None = None,
        at: int | None = None,
        on_progress: Progress | None = None,
    ) -> Any:
        where = call.requested.step_id if call is not None else self._step if at is None else at
        occasion = f"{hook.point}.{number}.{hook.name}.{where}"
        return await run_author_code(
            hook,
            {"value": value},
            place=CodePlace(point=hook.point, step=self._step, call=call, occasion=occasion),
            host=host,
            context=self._context,
            trace=self._trace,
            on_progress=on_progress,
        )


def refused(refusal: Refuse, step: int, usage: Usage) -> RunFinished:
    """The end of a run that a function of the author's refuses."""
    text = _words(refusal)
    return RunFinished(step=step, text=text, finish="refused", message=Message.assistant(text), usage=usage)


def _words(refusal: Refuse) -> str:
    return clean(str(refusal)).strip() or _("This was refused.")


def _shown(call: PreparedCall, arguments: Mapping[str, Any], result: ToolResult | None = None) -> HookedCall:
    requested = call.requested
    own = copy.deepcopy(dict(arguments))
    return HookedCall(name=requested.name, arguments=own, call_id=requested.call_id, result=result)
