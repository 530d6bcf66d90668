"""The tool calls of one reply, run side by side; each ends in exactly one result.

The text of a result is for the model and for people alike, so it is in the server's language; only the mark `Error: `
is the same in all languages.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from myagent.agent_definition import AgentDefinition
from myagent.events import AgentEvent, ToolFinished, ToolStarted
from myagent.exceptions import RetryTool, RunCancelled, ToolFailed
from myagent.i18n import gettext as _
from myagent.loop.call_order import CallOrder
from myagent.loop.call_reports import CallReporter, ReportQueue
from myagent.loop.host import Decision, Host
from myagent.loop.prepared_calls import PreparedCall, confirmation_request
from myagent.loop.running_tool import RunningTool
from myagent.loop.tool_state import Snapshot, changed, snapshot
from myagent.messages import Content, Message
from myagent.protocol.server_base import ToolStatus
from myagent.run_context import RunContext
from myagent.text import clean, shorten
from myagent.tool.base_tool import BaseTool, ToolResult, to_result
from myagent.tool.image import Image
from myagent.tracing.spans import UNTRACED, Trace

logger = logging.getLogger("myagent.tools")

MAX_OUTPUT_BYTES = 256 * 1024
MAX_ERROR_BYTES = 500
"""Of the message of an exception, where the agent wants it told."""


async def run_calls(
    agent: AgentDefinition,
    step: int,
    calls: Sequence[PreparedCall],
    results: dict[int, Message],
    *,
    host: Host,
    context: RunContext,
    trace: Trace = UNTRACED,
    max_output_bytes: int = MAX_OUTPUT_BYTES,
    seconds_left: Callable[[], float | None] = lambda: None,
) -> AsyncGenerator[AgentEvent]:
    """Run `calls` side by side and yield their events as they happen; `results` gets their messages, by call index.

    `seconds_left` are those that the run may take, None for no limit.
    """
    order = CallOrder(agent.max_parallel_tools)
    shared = _Step(agent, step, host, context, trace, max_output_bytes, order, seconds_left)
    reports: ReportQueue = asyncio.Queue()
    tasks = [
        asyncio.create_task(_CallTask(shared, call, CallReporter(reports)).run(), name=call.requested.name)
        for call in calls
    ]
    unfinished = len(calls)
    try:
        while unfinished:
            report = await reports.get()
            if isinstance(report, Exception):
                raise report
            report.is_taken = True
            yield report.event
            if isinstance(report.event, ToolFinished):
                results[report.event.call.index] = report.event.message
                unfinished -= 1
            report.noted.set()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Step:
    """What the calls of one step share."""

    agent: AgentDefinition
    number: int
    host: Host
    context: RunContext
    trace: Trace
    max_output_bytes: int
    order: CallOrder
    seconds_left: Callable[[], float | None]


@dataclass(slots=True)
class _CallTask:
    """One call on its way from the model's request to the result."""

    step: _Step
    call: PreparedCall
    reporter: CallReporter
    began: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        """Report the call's start, where that is to be stored, its progress and its result."""
        try:
            await self.reporter.deliver(await self._finish())
        except Exception as error:  # noqa: BLE001 - the driver raises it, which would wait for ever otherwise
            self.reporter.fail(error)

    async def _finish(self) -> ToolFinished:
        tool = self.call.tool
        if tool is None or self.call.problem is not None:
            return self._finished("failed", ToolResult(error=self.call.problem or ""))
        async with self.step.order.turn(tool):
            return await self._run(tool)

    async def _run(self, tool: BaseTool) -> ToolFinished:
        running = RunningTool(
            tool, self.call, host=self.step.host, context=self.step.context, on_progress=self.reporter.show
        )
        state = snapshot(self.step.context.state)
        try:
            decision = await self._decision(tool)
            if decision is not None and not decision.confirmed:
                return self._finished("declined", ToolResult(error=_refusal(decision)))
            async with self.step.order.place():
                result = await self._execute(tool, running, await self._start(tool, decision))
        except RunCancelled:
            raise
        except (RetryTool, ToolFailed) as error:
            result = ToolResult(error=clean(str(error)))
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise  # else the tool raised it of its own accord
            result = self._failure(tool, running, error)
        return self._finished("success" if result.error is None else "failed", result, state)

    async def _decision(self, tool: BaseTool) -> Decision | None:
        """The user's decision over the call, None when it needs none."""
        if not self.call.needs_confirmation:
            return None
        question = _("Allow the call of %(tool)s?") % {"tool": tool.name}
        return await self.step.host.confirm(confirmation_request(self.call, tool, question, starts_call=True))

    async def _start(self, tool: BaseTool, decision: Decision | None) -> Mapping[str, Any]:
        """Report the start if it is not stored yet; returns the arguments to run with."""
        arguments = self.call.arguments
        if decision is not None and decision.args is not None:
            arguments = tool.check(decision.args)
        if decision is not None or self.call.reports_start:
            self.began = time.monotonic()  # the user's time is not the tool's, nor is that of the calls before it
            await self.reporter.deliver(ToolStarted(call=self.call.requested, arguments=arguments))
        return arguments

    async def _execute(self, tool: BaseTool, running: RunningTool, arguments: Mapping[str, Any]) -> ToolResult:
        trace, facts = self.step.trace, {"call": self.call.requested, "arguments": arguments}
        with trace.span("tool", tool.name, step=self.step.number, **facts) as span, trace.inside(span):
            value = await running.execute(arguments, self.step.seconds_left())
            # What `BaseTool.bind` gives is finished; anything else is a tool's of a kind of its own.
            result = value if isinstance(value, ToolResult) else to_result(value)
            span.take_result(result)
            return result

    def _failure(self, tool: BaseTool, running: RunningTool, error: BaseException) -> ToolResult:
        """The result of a tool that was stopped at its time limit, or that has a bug."""
        if running.limit.expired and running.seconds != tool.timeout:
            return ToolResult(error=_("%(tool)s was stopped: the time of this answer is over.") % {"tool": tool.name})
        if running.limit.expired:
            words = _("%(tool)s took longer than %(seconds)g s.") % {"tool": tool.name, "seconds": tool.timeout}
            return ToolResult(error=words)
        agent, told = self.step.agent, {"tool": tool.name, "error": type(error).__name__}
        message = _first_line(error) if agent.tool_errors == "message" else ""
        # The author needs the traceback; the user and the model must not see it, since it may hold secrets.
        note = " The model and the client are told the first line of what it says (tool_errors)." if message else ""
        logger.error("The tool %r of agent %r failed.%s", tool.name, agent.name, note, exc_info=error)
        if message:
            return ToolResult(error=_("%(tool)s failed: %(message)s (%(error)s)") % {**told, "message": message})
        return ToolResult(error=_("%(tool)s failed with an internal error (%(error)s).") % told)

    def _finished(self, status: ToolStatus, result: ToolResult, state_before: Snapshot | None = None) -> ToolFinished:
        """The event of the result; with `state_before` the session's state is compared and stored."""
        step, requested = self.step, self.call.requested
        state, problem = (None, None) if state_before is None else changed(step.context.state, state_before)
        if problem is not None:
            status, result = "failed", ToolResult(error=problem)
        text = result.text if result.error is None else f"Error: {result.error}"
        output, cut = shorten(text, step.max_output_bytes)
        images = tuple(result.images)
        return ToolFinished(
            step=step.number,
            call=requested,
            status=status,
            output=output,
            message=Message.tool(
                _with_pictures(self._observed(text, result.system), images), tool_call_id=requested.call_id
            ),
            duration_ms=round((time.monotonic() - self.began) * 1000),
            error=None if result.error is None else shorten(result.error, 2_000)[0],
            data=result.data if not cut and _fits(result.data, step.max_output_bytes) else None,
            truncated=cut,
            images=images,
            state=state,
        )

    def _observed(self, text: str, note: str | None) -> str:
        """What the model sees of a result: as much as agent and tool allow, and how much more there is."""
        if note is not None:
            text = f"{text}\n{note}" if text else note
        own = self.call.tool.max_observe if self.call.tool is not None else None
        limit = min(value for value in (self.step.agent.max_observe, own, len(text)) if value is not None)
        return text if limit == len(text) else f"{text[:limit]}\n[cut: {len(text) - limit} more characters]"


def _with_pictures(text: str, images: Sequence[Image]) -> Content:
    """The content of a result's message."""
    if not images:
        return text
    pictures = ({"type": "image_url", "image_url": {"url": image.url}} for image in images)
    return [{"type": "text", "text": text}, *pictures]


def _refusal(decision: Decision) -> str:
    """What the model and the user are told of a call that was not allowed."""
    said = _("The user declined this call.") if decision.answered else _("The user did not answer in time.")
    return _("%(said)s Reason: %(reason)s") % {"said": said, "reason": decision.reason} if decision.reason else said


def _first_line(error: BaseException) -> str:
    """The first line of what an exception says, empty where it says nothing that can be shown."""
    try:
        said = clean(str(error)).strip()
    except Exception:  # noqa: BLE001 - code of the tool's
        return ""
    return shorten(said.partition("\n")[0].strip(), MAX_ERROR_BYTES)[0]


def _is_cancelled() -> bool:
    """Whether the current task was asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _fits(data: Any, max_bytes: int) -> bool:
    if data is None:
        return False
    try:
        return len(orjson.dumps(data)) <= max_bytes
    except TypeError:
        return False
