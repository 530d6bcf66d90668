"""`RunHooks`: calls the hooks of an agent in one run, and ends the run when one of them refuses.

After a takeover what was done before the crash is not done again, but a hook that was called may be called once more.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson

from myagent.agent_definition import AgentDefinition
from myagent.events import AgentEvent, ReasoningDelta, RunFinished, StepStarted, TextDelta, ToolProgress
from myagent.exceptions import HookFailed, Refuse, RetryTool
from myagent.hooks import AuthorCode, Hook, HookedAnswer, HookedCall, HookPoint
from myagent.i18n import gettext as _
from myagent.llm import Usage
from myagent.loop.author_code import HasAgreed, run_author_code, wrong_value
from myagent.loop.checkpoint import Checkpoint
from myagent.loop.history import History
from myagent.loop.host import Host
from myagent.loop.limited_model import LimitedModel
from myagent.loop.prepared_calls import PreparedCall
from myagent.messages import Message
from myagent.run_context import RunContext
from myagent.text import clean
from myagent.tool.base_tool import BaseTool, ToolResult, to_result

logger = logging.getLogger("myagent.hooks")

Progress = Callable[[ToolProgress], None]


class RunHooks:
    """The hooks of one run."""

    def __init__(self, agent: AgentDefinition, history: History, *, host: Host, context: RunContext) -> None:
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
        self, events: AsyncGenerator[AgentEvent], checkpoint: Checkpoint, usage: Callable[[], Usage]
    ) -> AsyncGenerator[AgentEvent]:
        """The events of a run from `checkpoint` on; it ends in words when a hook refuses."""
        step = checkpoint.step
        try:
            await self._read_messages(checkpoint.said)
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, StepStarted):
                        step = event.step
                    yield await self._answer(event) if isinstance(event, RunFinished) else event
        except Refuse as refusal:
            text = _words(refusal)
            yield RunFinished(step=step, text=text, finish="refused", message=Message.assistant(text), usage=usage())

    async def _read_messages(self, count: int) -> None:
        for at, message in self._history.newest_said(count):
            self._history.replace(at, await self.read(message))

    async def read(self, message: Message) -> Message:
        """What the user said, as the model is to read it."""
        read: Message = await self._each("user_message", message, _as_user_message)
        return read

    async def _answer(self, answer: RunFinished) -> RunFinished:
        if not self._hides_steps:
            return answer
        shown = HookedAnswer(text=answer.text, output=copy.deepcopy(answer.output))
        changed = await self._each("answer", shown, _as_answer)
        if changed.text == answer.text:
            return answer
        parts = [changed.text] if answer.output is None else [changed.text, orjson.dumps(answer.output).decode()]
        return replace(answer, text=changed.text, message=Message.assistant("\n\n".join(parts)))

    # --- the model ---

    async def before_model(self, prompt: list[Message]) -> list[Message]:
        """What the model is sent."""
        return await self._each("before_model", prompt, _as_prompt) if self._hooks.at("before_model") else prompt

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
        reply = limited.model.reply = await self._each("after_model", limited.model.reply, _as_reply)
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
        for hook in self._hooks.at("before_tool"):
            shown = _shown(call, arguments)
            given = await self._run(hook, shown, host=host, call=call, on_progress=on_progress)
            arguments = arguments if given is None else _as_arguments(hook, given)
        return arguments

    async def after_tool(self, call: PreparedCall, result: ToolResult, on_progress: Progress) -> ToolResult:
        """The result that counts. Raises `Refuse` and `ToolError`."""
        for hook in self._hooks.at("after_tool"):
            shown = _shown(call, call.arguments, result)
            given = await self._run(hook, shown, host=self._host, call=call, on_progress=on_progress)
            result = result if given is None else _as_result(hook, given)
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

    async def _each(self, point: HookPoint, value: Any, take: Callable[[Hook, Any, Any], Any]) -> Any:
        """Show `value` to one hook after the other; each may make another of it."""
        for hook in self._hooks.at(point):
            shown = list(value) if isinstance(value, list) else value
            given = await self._run(hook, shown, host=self._host)
            value = value if given is None else take(hook, given, value)
        return value

    async def _run(
        self,
        hook: AuthorCode,
        value: Any,
        *,
        host: Host,
        call: PreparedCall | None = None,
        on_progress: Progress | None = None,
    ) -> Any:
        return await run_author_code(
            hook, {"value": value}, host=host, context=self._context, call=call, on_progress=on_progress
        )


async def instructed(
    events: AsyncGenerator[AgentEvent], agent: AgentDefinition, history: History, *, host: Host, context: RunContext
) -> AsyncGenerator[AgentEvent]:
    """The events of a run whose system prompt is what the agent's function says. Raises `HookFailed`."""
    code = AuthorCode(agent.system_prompt, parameters=1)  # type: ignore[arg-type]
    given = await run_author_code(code, {}, host=host, context=context)
    if not isinstance(given, str | None):
        raise wrong_value(code, given)
    history.instruct(clean(given or ""))
    async with aclosing(events):
        async for event in events:
            yield event


# --- what hooks may return ---


def _words(refusal: Refuse) -> str:
    return clean(str(refusal)).strip() or _("This was refused.")


def _shown(call: PreparedCall, arguments: Mapping[str, Any], result: ToolResult | None = None) -> HookedCall:
    requested = call.requested
    own = copy.deepcopy(dict(arguments))
    return HookedCall(name=requested.name, arguments=own, call_id=requested.call_id, result=result)


def _as_user_message(hook: Hook, given: Any, message: Message) -> Message:
    if isinstance(given, str):
        text = clean(given)
        if isinstance(message.content, str):
            return Message.user(text)
        others = [part for part in message.content if part.get("type") != "text"]
        return Message.user([{"type": "text", "text": text}, *others])
    if isinstance(given, Message) and given.role == "user":
        return given
    raise wrong_value(hook, given)


def _as_prompt(hook: Hook, given: Any, prompt: list[Message]) -> list[Message]:
    if isinstance(given, Sequence) and given and all(isinstance(item, Message) for item in given):
        return list(given)
    raise wrong_value(hook, given)


def _as_reply(hook: Hook, given: Any, reply: Message) -> Message:
    if isinstance(given, str):
        given = Message.assistant(clean(given), reply.tool_calls)
    if not (isinstance(given, Message) and given.role == "assistant" and (given.text.strip() or given.tool_calls)):
        raise wrong_value(hook, given)
    # What the endpoint has signed is not this message any more.
    return reply if given == reply else replace(given, provider_data=None)


def _as_arguments(hook: Hook, given: Any) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    raise wrong_value(hook, given)


def _as_result(hook: Hook, given: Any) -> ToolResult:
    if isinstance(given, str | ToolResult):
        return to_result(given)
    raise wrong_value(hook, given)


def _as_answer(hook: Hook, given: Any, answer: HookedAnswer) -> HookedAnswer:
    if isinstance(given, str) and given.strip():
        return replace(answer, text=clean(given))
    raise wrong_value(hook, given)
