"""Where an `async def` tool runs: a daemon thread with an event loop, for all calls of an agent or for one."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from agents.tool_runner.watchdog import Pulse
from myagent.daemon_threads import DaemonExecutor, DaemonPool, Job, deliver

logger = logging.getLogger("myagent.tools")

# The tool's name and not the call, which holds the context: a cycle.
_serving: contextvars.ContextVar[str] = contextvars.ContextVar("tool_of_loop")


class Place(Protocol):
    """What currently holds a call: a `ToolLoop` or a `LoneCall`."""

    def give_up(self, call: AsyncCall) -> None:
        """Cancel `call`, or prevent it from beginning; does not wait."""
        ...


@dataclass(slots=True, eq=False)
class AsyncCall:
    """A pending or running call of an `async def` tool; `future` belongs to the server's loop, which awaits it."""

    tool: str
    code: Callable[[], Any]
    context: contextvars.Context
    server: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    place: Place | None = None
    task: asyncio.Task[Any] | None = None
    given_up: bool = False

    async def run(self) -> Any:
        """Run the tool's code; what it raises is meant for `future`."""
        self.task = asyncio.current_task()
        # give_up() sets the flag and then looks for the task, so that one of the two always sees the other.
        if self.given_up:
            return None
        value = self.code()
        return await value if inspect.isawaitable(value) else value

    def give_up(self) -> None:
        """Cancel it wherever it is, without waiting; called on the server's loop."""
        self.given_up = True
        if self.place is not None:
            self.place.give_up(self)

    def cancel_task(self) -> None:
        """Cancel its task from another thread."""
        if self.task is not None:
            call_in_loop(self.task.get_loop(), self.task.cancel)


class ToolLoop:
    """Runs calls concurrently on one loop.

    A call is owned by the thread that pops it from `_waiting` (popping from a dict is atomic): this loop's thread to
    begin it, or the server's to move it elsewhere. `on_begin` is called with the tool's name, in this loop's thread.
    """

    def __init__(self, agent: str, pool: DaemonPool, *, on_begin: Callable[[str, ToolLoop], None]) -> None:
        self.agent = agent
        self._on_begin = on_begin
        self._waiting: dict[AsyncCall, bool] = {}
        self._begun: dict[AsyncCall, bool] = {}
        self._owners: weakref.WeakKeyDictionary[asyncio.Task[Any], str] = weakref.WeakKeyDictionary()
        self._stopping = False
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(self._make_task)
        self._loop.set_default_executor(DaemonExecutor(pool))
        self.pulse = Pulse(partial(call_in_loop, self._loop), partial(asyncio.current_task, self._loop))
        self._ended: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run_thread, name=f"tools of {agent}", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._begun)

    def submit(self, call: AsyncCall) -> None:
        """Begin `call` as soon as the loop is free."""
        call.place = self
        self._waiting[call] = True
        call_in_loop(self._loop, self._begin, call)

    def give_up(self, call: AsyncCall) -> None:
        if not self._waiting.pop(call, False):
            call.cancel_task()

    def take_waiting(self) -> list[AsyncCall]:
        """Remove and return the calls whose code has not begun."""
        taken = [call for call in list(self._waiting) if self._waiting.pop(call, False)]
        for call in taken:
            # A context cannot be entered twice, and this loop may still enter the one it knows.
            call.context = call.context.copy()
        return taken

    def running_tool(self) -> str | None:
        """The tool whose code runs at this moment, if any."""
        task = asyncio.current_task(self._loop)
        return None if task is None else self._owners.get(task)

    def position(self) -> str:
        """The innermost files and lines of the thread's stack, innermost last."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        return " > ".join(f"{place.filename}:{place.lineno}" for place in traceback.extract_stack(frame)[-3:])

    def stop(self, ended: Callable[[], None] | None = None) -> None:
        """Cancel running calls and end the thread as soon as their code allows it; then call `ended`."""
        self._ended = ended
        self._stopping = True
        call_in_loop(self._loop, self._loop.stop)

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        context = options.get("context")
        # A tool's own tasks run in copies of its context, and can block just as the tool itself can.
        if tool := _serving.get(None) if context is None else context.get(_serving):
            self._owners[task] = tool
        return task

    def _begin(self, call: AsyncCall) -> None:
        context = call.context
        if call in self._waiting:
            context.run(_serving.set, call.tool)
            self._loop.create_task(self._run(call), name=call.tool, context=context)

    async def _run(self, call: AsyncCall) -> None:
        self._begun[call] = True
        # The call is claimed only here, where its own code begins: of several tasks that were made in one turn of the
        # loop, the first one may block.
        if self._waiting.pop(call, False):
            self._on_begin(call.tool, self)
            value = error = None
            try:
                value = await call.run()
            except BaseException as raised:  # noqa: BLE001 - even SystemExit belongs to the caller that awaits the future
                error = raised
            deliver(call.server, call.future, value, error)
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
            if self._ended is not None:
                self._ended()


class LoneCall:
    """A call on a thread and loop of its own, for tools that block."""

    def __init__(self, call: AsyncCall, pool: DaemonPool) -> None:
        self._call = call
        self._pool = pool
        self._job = Job(self._run_thread, partial(deliver, call.server, call.future), f"The tool {call.tool!r}")
        call.place = self
        pool.submit(self._job)

    def give_up(self, call: AsyncCall) -> None:
        self._pool.give_up(self._job)
        call.cancel_task()

    def _run_thread(self) -> Any:
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(DaemonExecutor(self._pool))
            return runner.run(self._call.run(), context=self._call.context)


def call_in_loop(loop: asyncio.AbstractEventLoop, callback: Callable[..., Any], *arguments: Any) -> None:
    """Have `loop` call `callback` from any thread; does nothing when the loop is closed."""
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        logger.debug("A tool loop is closed already.")
