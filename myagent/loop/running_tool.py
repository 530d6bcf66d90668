"""The code of a tool while it runs: its time limit, and what it asks and reports through its `RunContext`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from myagent.events import ToolProgress
from myagent.loop.host import Decision, Host
from myagent.loop.pausable_timeout import PausableTimeout
from myagent.loop.prepared_calls import PreparedCall, confirmation_request
from myagent.pending_answer import ConfirmNotAwaited
from myagent.run_context import RunContext
from myagent.text import clean, shorten
from myagent.tool.base_tool import BaseTool

MAX_PROGRESS_BYTES = 4 * 1024


class RunningTool:
    """Runs the code of one call. It is the `CallLink` of the call's `RunContext`, so it can be used from any thread.

    `on_progress` is called on the loop's thread, and no more once the code has ended. The code of a hook has an
    `occasion`, which tells its questions from those of others.
    """

    def __init__(
        self,
        tool: BaseTool,
        call: PreparedCall,
        *,
        host: Host,
        context: RunContext,
        on_progress: Callable[[ToolProgress], None],
        occasion: Callable[[], str] | None = None,
    ) -> None:
        self.seconds = tool.timeout
        self.limit = PausableTimeout(tool.timeout)
        self._tool = tool
        self._call = call
        self._host = host
        self._context = replace(context, call_id=call.requested.call_id, _link=self, _unasked=set())
        self._on_progress = on_progress
        self._occasion = occasion
        self._asked = 0
        self._loop = asyncio.get_running_loop()
        self._questions: set[asyncio.Task[Decision]] = set()
        self._has_ended = False

    async def execute(self, arguments: Mapping[str, Any], seconds_left: float | None = None) -> Any:
        """Run the code and return what it returns. Raises what it raises, and `TimeoutError` at the time limit.

        That is the tool's, or `seconds_left` where this is less.
        """
        if seconds_left is not None and (self.seconds is None or seconds_left < self.seconds):
            self.seconds = seconds_left
            self.limit = PausableTimeout(seconds_left)
        async with self.limit:
            try:
                value = await self._host.execute(self._tool, self._tool.bind(dict(arguments), self._context))
                if (unasked := next(iter(self._context._unasked), None)) is not None:
                    raise ConfirmNotAwaited(unasked.question)
                return value
            finally:
                self._has_ended = True
                # A thread that was given up, or a task that the tool left behind, may still wait for an answer.
                for question in self._questions:
                    question.cancel()

    def report(self, text: str, percent: float | None) -> None:
        """`RunContext.progress`."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._report, text, percent)

    def ask(self, question: str) -> concurrent.futures.Future[bool]:
        """`RunContext.confirm`: the time limit stands still until the user has answered."""
        return asyncio.run_coroutine_threadsafe(self._ask(question), self._loop)

    def _report(self, text: str, percent: float | None) -> None:
        if not self._has_ended:
            words, _cut = shorten(clean(str(text)), MAX_PROGRESS_BYTES)
            self._on_progress(ToolProgress(call=self._call.requested, text=words, percent=_percent(percent)))

    async def _ask(self, question: str) -> bool:
        if self._has_ended or not self.limit.is_active:
            raise RuntimeError("confirm() works only while the tool runs.")
        request = confirmation_request(self._call, self._tool, clean(question), starts_call=False)
        if self._occasion is not None:
            request = replace(request, occasion=f"{self._occasion()}.{self._asked}")
            self._asked += 1
        with self.limit.paused():
            asking = asyncio.create_task(self._host.confirm(request))
            self._questions.add(asking)
            asking.add_done_callback(self._questions.discard)
            return (await asking).confirmed


def is_cancelled() -> bool:
    """Whether the current task was asked to end; else the code that it runs raised `CancelledError` on its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _percent(value: object) -> float | None:
    """What a tool gave as percent, if it is a number that can be shown."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
