"""Runs the tools of all agents, never on the server's event loop, and detects `async def` tools that block."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from agents.tool_runner.tool_loop import AsyncCall, LoneCall, ToolLoop
from agents.tool_runner.watchdog import Watchdog
from myagent.daemon_threads import SIZE, DaemonPool, deliver
from myagent.tool.base_tool import BaseTool

logger = logging.getLogger("myagent.tools")


class ToolRunner:
    """One tool loop for each agent's `async def` tools, and daemon threads for its `def` tools.

    Versions of an agent share nothing; `end()` is called for an old one when no run uses it any more.

    A tool whose `async def` keeps its loop from answering for `stall_seconds` is reported to `on_blocking` (agent's
    name, tool's name), and each further call of it gets a thread and a loop of its own. `threads` limits the threads
    of one agent.
    """

    def __init__(
        self,
        *,
        stall_seconds: float = 0.5,
        on_blocking: Callable[[str, str], None] | None = None,
        threads: int = SIZE,
    ) -> None:
        self._threads = threads
        self._on_blocking = on_blocking
        self._agents: dict[tuple[str, int], AgentTools] = {}
        self._watchdog = Watchdog(self._loops, stall_seconds, self._move_calls_away)
        self._closed = False

    async def execute(self, agent_name: str, tool: BaseTool, call: Callable[[], Any], *, version: int = 1) -> Any:
        """Run `call` where `tool`'s code belongs; returns what it returns, raises what it raises.

        Cancelling this cancels the code and does not wait for it; a late result is dropped.
        """
        if self._closed:
            raise RuntimeError("The tool runner is closed.")
        agent = self._agents.get((agent_name, version))
        if agent is None:
            agent = self._agents[agent_name, version] = AgentTools(agent_name, self._threads)
        if not tool.is_async:
            value = await agent.pool.run(call, label=f"The tool {tool.name!r} of agent {agent_name!r}")
            if not inspect.isawaitable(value):
                return value
            call = partial(_same, value)
        server = asyncio.get_running_loop()
        entry = AsyncCall(tool.name, call, contextvars.copy_context(), server, server.create_future())
        agent.begin(entry)
        self._watchdog.wake()
        try:
            return await entry.future
        except asyncio.CancelledError:
            entry.give_up()
            raise

    def blocking_tools(self, agent_name: str) -> frozenset[str]:
        """The tools of an agent that were found to block their loop."""
        return frozenset(tool for agent in self._agents.values() if agent.name == agent_name for tool in agent.blocking)

    def end(self, agent_name: str, version: int) -> None:
        """End the loops and threads of a version that no run uses any more; does not wait for stuck code."""
        agent = self._agents.pop((agent_name, version), None)
        if agent is not None:
            agent.end()

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - it abandons code and does not raise
        """Cancel all calls and end the loops; code that does not stop within `timeout` seconds is abandoned."""
        if self._closed:
            return
        self._closed = True
        self._watchdog.stop()
        server = asyncio.get_running_loop()
        ends = {server.create_future(): loop for loop in self._loops()}
        for end, loop in ends.items():
            loop.stop(partial(deliver, server, end, None, None))
        for agent in self._agents.values():
            agent.cancel_alone()
        if ends:
            _done, pending = await asyncio.wait(ends, timeout=timeout)
            for end in pending:
                logger.warning("A tool of agent %r does not stop: it is at %s.", ends[end].agent, ends[end].position())

    def _loops(self) -> Iterator[ToolLoop]:
        for agent in self._agents.values():
            yield from agent.loops

    def _move_calls_away(self, loop: ToolLoop) -> None:
        agent = next(agent for agent in self._agents.values() if loop in agent.loops)
        tool = loop.running_tool()
        is_new = tool is not None and tool not in agent.blocking
        if tool is not None:
            agent.blocking.add(tool)
        for call in loop.take_waiting():
            try:
                agent.begin(call)
            except RuntimeError as error:  # no thread can be started
                if not call.future.done():
                    call.future.set_exception(error)
        logger.warning(
            "The tool %r of agent %r blocks the loop that the agent's `async def` tools share; it is at %s. Use "
            "`await asyncio.sleep()` and async clients, or write `def execute` instead of `async def execute`. "
            "Until the agent is reloaded, each call of it gets a thread of its own.",
            tool or "(unknown)",
            agent.name,
            loop.position(),
        )
        if is_new and tool is not None and self._on_blocking is not None:
            try:
                self._on_blocking(agent.name, tool)
            except Exception:
                logger.exception("on_blocking failed.")


class AgentTools:
    """The threads and loops of one agent.

    There is one loop until it is found stuck. While it is stuck, new calls go to another one; afterwards each tool
    returns to its home, the loop on which it first ran, because clients that it keeps open belong to that loop.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.pool = DaemonPool(threads, name=f"{name} tool")
        self.loops: list[ToolLoop] = []
        self.blocking: set[str] = set()
        self._homes: dict[str, ToolLoop] = {}
        self._alone: set[AsyncCall] = set()

    def begin(self, call: AsyncCall) -> None:
        """Run `call` on a loop that answers, or on a thread and loop of its own if its tool is known to block."""
        if call.tool in self.blocking:
            self._alone.add(call)
            call.future.add_done_callback(lambda _: self._alone.discard(call))
            LoneCall(call, self.pool)
        else:
            self._loop_for(call.tool).submit(call)

    def end(self) -> None:
        """Cancel what still runs and end all threads."""
        self.cancel_alone()
        for loop in self.loops:
            loop.stop()
        self.pool.close()

    def cancel_alone(self) -> None:
        """Cancel the calls that run alone."""
        for call in list(self._alone):
            call.give_up()

    def _loop_for(self, tool: str) -> ToolLoop:
        home = self._homes.get(tool)
        if home is not None and not home.pulse.stuck:
            return home
        free = next((loop for loop in self.loops if not loop.pulse.stuck), None)
        if free is None:
            free = ToolLoop(self.name, self.pool, on_begin=self._settle_home)
            self.loops.append(free)
        return free

    def _settle_home(self, tool: str, loop: ToolLoop) -> None:
        # Called in the loop's thread; like all single operations on a dict, setdefault is atomic.
        self._homes.setdefault(tool, loop)


def _same(value: Any) -> Any:
    return value
