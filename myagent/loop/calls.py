"""The tool calls of one reply, run side by side; each ends in exactly one result.

What a result says goes to the model and to people alike, so it is in the server's language; only the mark `Error: ` is
the same in all of them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from myagent.agent_definition import AgentDefinition
from myagent.events import AgentEvent, ToolFinished, ToolProgress, ToolStarted
from myagent.exceptions import RetryTool, RunCancelled, ToolFailed
from myagent.i18n import gettext as _
from myagent.loop.host import ConfirmationRequest, Decision, Host
from myagent.loop.prepared_calls import PreparedCall
from myagent.loop.tool_state import changed, snapshot
from myagent.messages import Message
from myagent.protocol.vocabulary import ToolStatus
from myagent.run_context import RunContext
from myagent.text import clean, shorten
from myagent.tool.base_tool import BaseTool, ToolResult, to_result
from myagent.tracing.spans import UNTRACED, Trace

logger = logging.getLogger("myagent.tools")

MAX_OUTPUT_BYTES = 256 * 1024
MAX_PROGRESS_BYTES = 4 * 1024


async def run_calls(
    agent: AgentDefinition,
    step: int,
    calls: Sequence[PreparedCall],
    results: list[Message],
    *,
    host: Host,
    context: RunContext,
    trace: Trace = UNTRACED,
    max_output_bytes: int = MAX_OUTPUT_BYTES,
) -> AsyncGenerator[AgentEvent]:
    """Run `calls` side by side and yield what they report as it happens; `results` gets their messages, in order."""
    reports: asyncio.Queue[_Report] = asyncio.Queue()
    tasks = [
        asyncio.create_task(
            _Caller(agent, step, call, reports, host, context, trace, max_output_bytes).run(), name=call.requested.name
        )
        for call in calls
    ]
    messages: dict[int, Message] = {}
    try:
        while len(messages) < len(calls):
            report = await reports.get()
            report.taken = True
            if report.failure is not None:
                raise report.failure
            late = isinstance(report.event, ToolProgress) and report.event.call.index in messages
            if report.event is not None and not late:
                yield report.event
                if isinstance(report.event, ToolFinished):
                    messages[report.event.call.index] = report.event.message
            report.noted.set()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    results.extend(messages[index] for index in sorted(messages))


class _Report:
    """An event on its way to the driver; `taken` when it has left the queue, `noted` when the driver took note."""

    __slots__ = ("event", "failure", "noted", "taken")

    def __init__(self, event: AgentEvent | None = None, failure: BaseException | None = None) -> None:
        self.event = event
        self.failure = failure
        self.noted = asyncio.Event()
        self.taken = False


class _Declined(Exception):
    """The user said no, or nothing; the text is the result."""


class _Caller:
    """Takes one call from its request to its result."""

    def __init__(
        self,
        agent: AgentDefinition,
        step: int,
        call: PreparedCall,
        reports: asyncio.Queue[_Report],
        host: Host,
        context: RunContext,
        trace: Trace,
        max_output_bytes: int,
    ) -> None:
        self.agent = agent
        self.step = step
        self.call = call
        self.reports = reports
        self.host = host
        self.trace = trace
        self.max_output_bytes = max_output_bytes
        self.context = replace(context, call_id=call.requested.call_id)
        self.context._loop = asyncio.get_running_loop()
        self.context._report = self._progress
        self.context._ask = self._ask
        self._limit: asyncio.Timeout | None = None
        self._left: float | None = None
        self._asking: set[asyncio.Task[Any] | None] = set()
        self._shown: _Report | None = None
        self._begun = time.monotonic()

    async def run(self) -> None:
        try:
            await self._note(await self._result())
        except Exception as error:  # noqa: BLE001 - handed to the driver, who must not wait for ever
            self.reports.put_nowait(_Report(failure=error))

    async def _note(self, event: AgentEvent) -> None:
        report = _Report(event)
        self.reports.put_nowait(report)
        await report.noted.wait()

    async def _result(self) -> ToolFinished:
        tool = self.call.tool
        if tool is None or self.call.problem is not None:
            return self._finished("failed", ToolResult(error=self.call.problem or ""))
        before = snapshot(self.context.state)
        try:
            result = await self._traced(tool, await self._agreed_arguments(tool))
        except _Declined as error:
            return self._finished("declined", ToolResult(error=str(error)))
        except RunCancelled:
            raise
        except (RetryTool, ToolFailed) as error:
            result = ToolResult(error=clean(str(error)))
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            result = self._broken(tool, error)  # the tool raised it of its own accord
        except Exception as error:  # noqa: BLE001 - `_broken` logs it
            if self._limit is not None and self._limit.expired():
                words = _("%(tool)s took longer than %(seconds)g s.") % {"tool": tool.name, "seconds": tool.timeout}
                return self._finished("failed", ToolResult(error=words), before)
            result = self._broken(tool, error)
        return self._finished("failed" if result.error is not None else "success", result, before)

    def _broken(self, tool: BaseTool, error: BaseException) -> ToolResult:
        # The author needs the traceback, the user and the model must not see it: it may hold secrets.
        logger.error("The tool %r of agent %r failed.", tool.name, self.agent.name, exc_info=error)
        words = _("%(tool)s failed with an internal error (%(error)s).")
        return ToolResult(error=words % {"tool": tool.name, "error": type(error).__name__})

    async def _agreed_arguments(self, tool: BaseTool) -> Mapping[str, Any]:
        """The arguments to run with, when everything is settled that has to be before."""
        if self.call.needs_confirmation:
            return await self._confirmed_arguments(tool)
        if self.call.reports_start:
            await self._note(ToolStarted(call=self.call.requested, arguments=self.call.arguments))
        return self.call.arguments

    async def _confirmed_arguments(self, tool: BaseTool) -> Mapping[str, Any]:
        question = _("Allow the call of %(tool)s?") % {"tool": tool.name}
        decision = await self.host.confirm(self._request(tool, question, starts_call=True))
        if not decision.confirmed:
            raise _Declined(_refusal(decision))
        arguments = self.call.arguments if decision.args is None else tool.check(decision.args)
        self._begun = time.monotonic()
        await self._note(ToolStarted(call=self.call.requested, arguments=arguments))
        return arguments

    def _request(self, tool: BaseTool, question: str, *, starts_call: bool) -> ConfirmationRequest:
        return ConfirmationRequest(
            call_id=self.call.requested.call_id,
            call_step_id=self.call.requested.step_id,
            question=question,
            tool_name=tool.name,
            tool_description=tool.schema()["function"].get("description", ""),
            tool_args=self.call.arguments,
            timeout=tool.confirm_timeout,
            starts_call=starts_call,
        )

    async def _traced(self, tool: BaseTool, arguments: Mapping[str, Any]) -> ToolResult:
        facts = {"step": self.step, "call": self.call.requested, "arguments": arguments}
        with self.trace.span("tool", tool.name, **facts) as span, self.trace.inside(span):
            result = to_result(await self._execute(tool, arguments))
            span.take_result(result)
            return result

    async def _execute(self, tool: BaseTool, arguments: Mapping[str, Any]) -> Any:
        async with asyncio.timeout(tool.timeout) as self._limit:
            try:
                return await self.host.execute(tool, tool.bind(dict(arguments), self.context))
            finally:
                # A thread that is given up, or a task the tool left behind, may still wait for an answer.
                asking, self._asking = self._asking, set()
                for question in filter(None, asking):
                    question.cancel()

    def _progress(self, text: str, percent: float | None) -> None:
        words, _cut = shorten(clean(str(text)), MAX_PROGRESS_BYTES)
        event = ToolProgress(call=self.call.requested, text=words, percent=_percent(percent))
        if self._shown is not None and not self._shown.taken:
            self._shown.event = event  # a tool that reports faster than it is noted: only the newest counts
            return
        self._shown = _Report(event)
        self.reports.put_nowait(self._shown)

    async def _ask(self, question: str) -> bool:
        """`RunContext.confirm`: the tool's time limit stands still while the user thinks."""
        tool, limit = self.call.tool, self._limit
        if tool is None or limit is None:
            raise RuntimeError("confirm() works only while the tool runs.")
        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        if not self._asking:
            deadline = limit.when()
            self._left = None if deadline is None else deadline - loop.time()
            limit.reschedule(None)
        self._asking.add(this)
        try:
            decision = await self.host.confirm(self._request(tool, clean(question), starts_call=False))
        finally:
            if this in self._asking:  # else the call is over
                self._asking.remove(this)
                if not self._asking and self._left is not None:
                    limit.reschedule(loop.time() + self._left)
        return decision.confirmed

    def _observed(self, text: str) -> str:
        """What the model sees of a result: as much as agent and tool allow, and how much more there is."""
        own = self.call.tool.max_observe if self.call.tool is not None else None
        limit = min(value for value in (self.agent.max_observe, own, len(text)) if value is not None)
        return text if limit == len(text) else f"{text[:limit]}\n[cut: {len(text) - limit} more characters]"

    def _finished(self, status: ToolStatus, result: ToolResult, before: bytes | None = None) -> ToolFinished:
        state, problem = (None, None) if before is None else changed(self.context.state, before)
        if problem is not None:
            status, result = "failed", ToolResult(error=problem)
        text = result.text if result.error is None else f"Error: {result.error}"
        output, cut = shorten(text, self.max_output_bytes)
        data = result.data if not cut and _fits(result.data, self.max_output_bytes) else None
        observed = self._observed(text)
        return ToolFinished(
            step=self.step,
            call=self.call.requested,
            status=status,
            output=output,
            message=Message.tool(observed, tool_call_id=self.call.requested.call_id),
            duration_ms=round((time.monotonic() - self._begun) * 1000),
            error=None if result.error is None else shorten(result.error, 2_000)[0],
            data=data,
            truncated=cut,
            state=state,
        )


def _refusal(decision: Decision) -> str:
    """What the model and the user are told of a call that was not allowed."""
    said = _("The user declined this call.") if decision.answered else _("The user did not answer in time.")
    return _("%(said)s Reason: %(reason)s") % {"said": said, "reason": decision.reason} if decision.reason else said


def _is_cancelled() -> bool:
    """Whether somebody asked the current task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _percent(value: object) -> float | None:
    """What a tool gave as percent, if it is a number that can be shown."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _fits(data: Any, max_bytes: int) -> bool:
    if data is None:
        return False
    try:
        return len(orjson.dumps(data)) <= max_bytes
    except TypeError:
        return False
