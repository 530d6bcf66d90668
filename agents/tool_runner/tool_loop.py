"""Where `async def` tools run: daemon threads with an event loop each."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from agents.authors_code import authors_place
from agents.tool_runner.traced_loop import CallMark, TracedLoop, mark
from myagent.daemon_threads import DaemonPool, settle

logger = logging.getLogger("myagent.tools")

CHECKS_PER_STALL = 5


@dataclass(slots=True, eq=False)
class AsyncCall:
    """A pending or running call of an `async def` tool; the server awaits its `future`."""

    mark: CallMark
    code: Callable[[], Any]
    context: contextvars.Context
    future: Future[Any] = field(default_factory=Future)
    loop: ToolLoop | None = None
    task: asyncio.Task[Any] | None = None
    given_up: bool = False

    def give_up(self) -> None:
        """Cancel it, or prevent it from beginning, without waiting; called on the server's loop."""
        self.given_up = True
        if self.loop is not None and not self.loop.take(self) and self.task is not None:
            self.loop.have_called(self.task.cancel)


class ToolLoop:
    """Runs calls concurrently on one loop, and can tell from outside whether that is stuck.

    A call is owned by the thread that takes it from `_waiting` (popping from a dict is atomic): this loop's thread to
    begin it, or the server's to move it elsewhere.
    """

    def __init__(self, agent: str, pool: DaemonPool, *, alone: bool = False) -> None:
        self.agent = agent
        self.alone = alone
        """Whether it is for a tool that blocks, so that no others come here to be served."""
        self.tried: set[str] = set()
        """The tools of which a call has ended here."""
        self.waited: set[str] = set()
        """Those of them that awaited something."""
        self.ended: Future[None] = Future()
        self._waiting: dict[AsyncCall, bool] = {}
        self._begun: dict[AsyncCall, bool] = {}
        self._stopping = False
        self._answered = True
        self._task: asyncio.Task[Any] | None = None
        self._asked_at = self._task_since = 0.0
        self._stuck_since: float | None = None
        self._loop = TracedLoop()
        self._loop.set_default_executor(pool)
        self.have_called, self.keepers, self.running = self._loop.have_called, self._loop.keepers, self._loop.running
        self._thread = threading.Thread(target=self._run_thread, name=f"tools of {agent}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> list[AsyncCall]:
        """The calls whose code has not begun."""
        return list(self._waiting)

    @property
    def load(self) -> int:
        """How many calls are here."""
        return len(self._waiting) + len(self._begun)

    @property
    def is_lost(self) -> bool:
        """Whether only calls are left that were given up and do not end."""
        return bool(self._begun) and not self._waiting and all(call.given_up for call in list(self._begun))

    @property
    def stuck_seconds(self) -> float:
        """How long ago the loop missed the deadline of an answer that it still owes; 0 if it owes none."""
        return 0.0 if self._answered or self._stuck_since is None else time.monotonic() - self._stuck_since

    def submit(self, call: AsyncCall) -> None:
        """Begin `call` as soon as the loop is free."""
        call.loop = self
        self._waiting[call] = True
        self.have_called(self._begin, call)

    def take(self, call: AsyncCall) -> bool:
        """Take `call` away, if its code has not begun; returns whether it is the caller's now."""
        return self._waiting.pop(call, False)

    def detect_stall(self, now: float, stall_seconds: float, *, excused: bool) -> bool:
        """Ask the loop for an answer, unless it owes one; True once, when that takes so long.

        `excused` restarts the measurement.
        """
        if self.stuck_seconds:
            return False
        task = asyncio.current_task(self._loop)
        if self._answered or excused:
            self._asked_at = now
        if self._answered or excused or task is not self._task:
            self._task, self._task_since = task, now
        if self._answered:
            self._answered = False
            self.have_called(setattr, self, "_answered", True)
        # It may have blocked since the check before the one that asked.
        is_late = now - self._asked_at >= stall_seconds * (1 - 1 / CHECKS_PER_STALL)
        self._stuck_since = now if is_late else None
        return is_late and not self._answered

    def blamed(self, now: float, stall_seconds: float) -> CallMark | None:
        """The call whose code has had most of that time, if it is one and not many with a short turn each."""
        return self.running() if now - self._task_since >= stall_seconds / 2 else None

    def position(self) -> str:
        """The file and line that the thread is at, in the author's code if possible."""
        return authors_place(sys._current_frames().get(self._thread.ident or 0))

    def stop(self) -> None:
        """Cancel running calls and end the thread as soon as their code allows it; `ended` tells when it has."""
        self._stopping = True
        self.have_called(self._loop.stop)

    def _begin(self, call: AsyncCall) -> None:
        # One context for each attempt, since none can be entered twice, and a call may be moved at this moment.
        context = call.context.copy()
        if call in self._waiting:
            context.run(mark.set, call.mark)
            self._loop.create_task(self._run(call), name=call.mark.tool, context=context)

    async def _run(self, call: AsyncCall) -> None:
        self._begun[call] = True
        # The call is claimed only here, where its own code begins: of several tasks that were made in one turn of the
        # loop, the first one may block.
        if self.take(call):
            self._loop.call_soon(setattr, call.mark, "waited", True)  # unless it has ended by then
            value = error = None
            # give_up() sets the flag and then looks for the task, so that one of the two always sees the other.
            call.task = asyncio.current_task()
            try:
                value = None if call.given_up else call.code()
                if inspect.isawaitable(value):
                    value = await value
            except BaseException as raised:  # noqa: BLE001 - even SystemExit belongs to the caller that awaits the future
                error = raised
            call.mark.ended = True
            self.tried.add(call.mark.tool)
            if call.mark.waited:
                self.waited.add(call.mark.tool)
            if call.future.set_running_or_notify_cancel():
                settle(call.future, value, error)
            error = None  # its traceback holds this frame: a cycle
        del self._begun[call]

    def _run_thread(self) -> None:
        while not self._stopping:
            try:
                self._loop.run_forever()
            except BaseException:
                logger.exception("A task of a tool stopped the tool loop of %r; the loop is restarted.", self.agent)
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.get_loop()  # leaving the runner cancels all tasks and closes the loop
        finally:
            self.ended.set_result(None)
