"""What tool calls that run side by side report to the one task that drives the loop."""

from __future__ import annotations

import asyncio

from myagent.events import AgentEvent, ToolProgress

SHORTEST_PAUSE = 0.04
"""Seconds between two reports of progress of one call: 25 a second are more than anybody reads."""
AT_FULL_PACE = 100
MOST_SHOWN = 200
LONGER_EACH_TIME = 1.08
"""Reports of one call that are shown, and stored: after the first hundred the pauses grow, so that those of a call that
reports for an hour are spread over it.
"""


class CallReport:
    """An event in the queue. The driver sets `is_taken` when it gets it, and `noted` when it has handled it."""

    __slots__ = ("event", "is_taken", "noted")

    def __init__(self, event: AgentEvent) -> None:
        self.event = event
        self.is_taken = False
        self.noted = asyncio.Event()


ReportQueue = asyncio.Queue[CallReport | Exception]
"""The reports of all calls; an exception is a call that failed without a result."""


class ProgressPace:
    """When one call may show its progress again. Pure: it is told the time, in seconds."""

    def __init__(self) -> None:
        self.count = 0
        self._pause = SHORTEST_PAUSE
        self._not_before = 0.0

    def wait(self, now: float) -> float | None:
        """Seconds until the next report may be shown; None when there will be no other."""
        return None if self.count >= MOST_SHOWN else max(0.0, self._not_before - now)

    def shown(self, now: float) -> None:
        """A report is shown now."""
        self.count += 1
        if self.count > AT_FULL_PACE:
            self._pause *= LONGER_EACH_TIME
        self._not_before = now + self._pause


class CallReporter:
    """Puts the events of one call into the queue. Lives on the event loop."""

    def __init__(self, queue: ReportQueue) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._pace = ProgressPace()
        self._held: ToolProgress | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._progress: CallReport | None = None

    async def deliver(self, event: AgentEvent) -> None:
        """Report an event and wait until the driver has handled it; held progress comes before it."""
        if self._timer is not None:
            self._timer.cancel()
            self._show_held()
        report = CallReport(event)
        self._queue.put_nowait(report)
        await report.noted.wait()

    def show(self, progress: ToolProgress) -> None:
        """Report progress, at its pace; it replaces what the driver has not taken yet, since only the newest counts."""
        if self._progress is not None and not self._progress.is_taken:
            self._progress.event = progress
            return
        wait = self._pace.wait(self._loop.time())
        if wait is None:
            return
        self._held = progress
        if self._timer is None:
            if wait:
                self._timer = self._loop.call_later(wait, self._show_held)
            else:
                self._show_held()

    def fail(self, error: Exception) -> None:
        """Report that the call ends without a result; the driver raises `error`."""
        if self._timer is not None:
            self._timer.cancel()
        self._queue.put_nowait(error)

    def _show_held(self) -> None:
        self._timer = None
        if self._held is not None:
            self._pace.shown(self._loop.time())
            self._progress, self._held = CallReport(self._held), None
            self._queue.put_nowait(self._progress)
