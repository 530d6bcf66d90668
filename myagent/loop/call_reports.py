"""What tool calls that run side by side report to the one task that drives the loop."""

from __future__ import annotations

import asyncio

from myagent.events import AgentEvent, ToolProgress


class CallReport:
    """An event in the queue. The driver sets `is_taken` when it gets it, and `noted` when it has handled it."""

    __slots__ = ("event", "is_taken", "noted")

    def __init__(self, event: AgentEvent) -> None:
        self.event = event
        self.is_taken = False
        self.noted = asyncio.Event()


ReportQueue = asyncio.Queue[CallReport | Exception]
"""The reports of all calls; an exception is a call that failed without a result."""


class CallReporter:
    """Puts the events of one call into the queue."""

    def __init__(self, queue: ReportQueue) -> None:
        self._queue = queue
        self._progress: CallReport | None = None

    async def deliver(self, event: AgentEvent) -> None:
        """Report an event and wait until the driver has handled it."""
        report = CallReport(event)
        self._queue.put_nowait(report)
        await report.noted.wait()

    def show(self, progress: ToolProgress) -> None:
        """Report progress. It replaces the one before if the driver has not taken that yet: only the newest counts."""
        if self._progress is not None and not self._progress.is_taken:
            self._progress.event = progress
            return
        self._progress = CallReport(progress)
        self._queue.put_nowait(self._progress)

    def fail(self, error: Exception) -> None:
        """Report that the call ends without a result; the driver raises `error`."""
        self._queue.put_nowait(error)
