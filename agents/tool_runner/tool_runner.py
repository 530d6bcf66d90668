"""Runs the tools of all agents, never on the server's event loop."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from agents.caretaker import caretaker
from agents.tool_runner.tool_loop import CHECKS_PER_STALL, AsyncCall, ToolLoop
from agents.tool_runner.traced_loop import CallMark
from myagent.daemon_threads import GIVEN_UP_AT_MOST, SIZE, DaemonPool
from myagent.tool.base_tool import BaseTool

logger = logging.getLogger("myagent.tools")

PATIENCE_SECONDS = 30.0
"""How long calls wait for a stuck loop that they need; after that it is as good as lost."""


class ToolRunner:
    """Event loops in threads for each agent's `async def` tools, and daemon threads for its `def` tools.

    Versions of an agent share nothing; `end()` is called for an old one when no run uses it any more.

    A tool that keeps its loop from answering for `stall_seconds` again and again is reported once to `on_blocking`:
    the agent's name, the tool's, file and line. `threads` limits the threads of one agent.
    """

    def __init__(
        self,
        *,
        stall_seconds: float = 0.5,
        on_blocking: Callable[[str, str, str], None] | None = None,
        threads: int = SIZE,
    ) -> None:
        self._stall = stall_seconds
        self._threads = threads
        self._on_blocking = on_blocking
        self._agents: dict[tuple[str, int], AgentTools] = {}
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    async def execute(self, agent_name: str, tool: BaseTool, call: Callable[[], Any], *, version: int = 1) -> Any:
        """Run `call` where `tool`'s code belongs; returns what it returns, raises what it raises.

        Cancelling this cancels the code and does not wait for it; a late result is dropped.
        """
        if self._closed:
            raise RuntimeError("The tool runner is closed.")
        with caretaker.watching(f"The tool {tool.name!r} of agent {agent_name!r}"):
            return await self._execute(agent_name, tool, call, version)

    async def _execute(self, agent_name: str, tool: BaseTool, call: Callable[[], Any], version: int) -> Any:
        agent = self._agents.get((agent_name, version))
        if agent is None:
            agent = self._agents[agent_name, version] = AgentTools(agent_name, self._threads, self._note_blocking)
        if not tool.is_async:
            value = await agent.pool.run(call, label=f"The tool {tool.name!r} of agent {agent_name!r}")
            if not inspect.isawaitable(value):
                return value
            call = partial(_same, value)
        entry = AsyncCall(CallMark(tool.name), call, contextvars.copy_context())
        agent.loop_for(tool.name).submit(entry)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch_loops(), name="watchdog of tools")
        try:
            return await asyncio.wrap_future(entry.future)
        except asyncio.CancelledError:
            entry.give_up()
            raise

    def blocking_tools(self, agent_name: str) -> dict[str, str]:
        """The tools of an agent that block their loop again and again, with file and line."""
        agents = [agent for agent in self._agents.values() if agent.name == agent_name]
        return {tool: place for agent in agents for tool, place in agent.blocking.items()}

    def end(self, agent_name: str, version: int) -> None:
        """End the loops and threads of a version that no run uses any more; does not wait for stuck code."""
        agent = self._agents.pop((agent_name, version), None)
        if agent is not None:
            for loop in agent.loops:
                loop.stop()
            agent.pool.shutdown()

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - it abandons code and does not raise
        """Cancel all calls and end the loops; code that does not stop within `timeout` seconds is abandoned."""
        if self._closed:
            return
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
        ends = {asyncio.wrap_future(loop.ended): loop for agent in self._agents.values() for loop in agent.loops}
        for loop in ends.values():
            loop.stop()
        if ends:
            _done, pending = await asyncio.wait(ends, timeout=timeout)
            for end in pending:
                logger.warning("A tool of agent %r does not stop: it is at %s.", ends[end].agent, ends[end].position())

    async def _watch_loops(self) -> None:
        """Detect stuck loops, while there are any that could be."""
        pause, is_busy = self._stall / CHECKS_PER_STALL, True
        while is_busy:
            due = time.monotonic() + pause
            await asyncio.sleep(pause)
            # Late means that the whole process stood still (a suspended machine, a held interpreter lock), so that the
            # tools' loops could not answer either.
            excused = time.monotonic() - due > self._stall / 2
            is_busy = any([agent.check(self._stall, excused=excused) for agent in list(self._agents.values())])  # noqa: C419 - all

    def _note_blocking(self, agent: str, tool: str, place: str) -> None:
        if self._on_blocking is not None:
            try:
                self._on_blocking(agent, tool, place)
            except Exception:
                logger.exception("on_blocking failed.")


class AgentTools:
    """The loops and threads of one agent's tools, and which call goes where.

    All `async def` tools share the main loop, since clients that tools keep open belong to the loop that made them.
    While it is stuck, calls that have not begun go to another one, but for those of tools that belong there
    (`TracedLoop.keepers`), and of the one that blocks it in its first call: it may be loading what all its calls need.

    A tool that blocks again and again stays where it keeps something, and the others go to a new main loop. If it
    keeps nothing, it leaves: to a loop of its own, or to one for each call if it never awaits anything.
    """

    def __init__(self, name: str, threads: int, on_blocking: Callable[[str, str, str], None]) -> None:
        self.name = name
        self.pool = DaemonPool(threads, name=f"{name} tool")
        self.loops: list[ToolLoop] = []
        self.blocking: dict[str, str] = {}
        """The tools that block again and again, with file and line."""
        self._threads = threads
        self._on_blocking = on_blocking
        self._own_loops: dict[str, ToolLoop] = {}
        self._stalls: Counter[str] = Counter()

    def loop_for(self, tool: str) -> ToolLoop:
        """Where a call of this tool begins."""
        if len(self.loops) == 1 and not self.blocking and not self.loops[0].stuck_seconds:
            return self.loops[0]
        home = self._own_loops.get(tool) or next((loop for loop in self.loops if tool in loop.keepers()), None)
        if tool in self.blocking and (home is None or home.stuck_seconds > PATIENCE_SECONDS):
            return self._loop_for_one()
        loop = home or next((loop for loop in self.loops if not loop.alone), None)
        if loop is not None and (self._waits_for(loop, tool) if loop.stuck_seconds else home is not None):
            return loop
        answering = [loop for loop in self.loops if not loop.stuck_seconds]
        # A tool that is new to a loop may share what is kept there; afterwards that is known.
        sharing = (loop for loop in answering if tool not in loop.tried and loop.keepers())
        shared = (loop for loop in answering if not loop.alone)
        return next(sharing, None) or next(shared, None) or self._new_loop()

    def check(self, stall_seconds: float, *, excused: bool) -> bool:
        """Look whether loops are stuck, and take calls away from these; returns whether to look again."""
        now = time.monotonic()
        busy = [loop for loop in self.loops if loop.load and not loop.stuck_seconds]
        for loop in busy:
            if loop.detect_stall(now, stall_seconds, excused=excused):
                self._note_stall(loop, loop.blamed(now, stall_seconds))
        stuck = [loop for loop in self.loops if loop.stuck_seconds and loop.waiting]
        for loop in stuck:
            for call in loop.waiting:
                self._relieve(loop, call)
        return bool(busy or stuck)

    def _relieve(self, loop: ToolLoop, call: AsyncCall) -> None:
        try:
            better = self.loop_for(call.mark.tool)
        except (RuntimeError, OSError):  # no thread can be started, or no file opened
            logger.exception("The tool %r has to wait, since there can be no other loop.", call.mark.tool)
            return
        if better is not loop and loop.take(call):
            better.submit(call)

    def _waits_for(self, loop: ToolLoop, tool: str) -> bool:
        """Whether a call of `tool` had better wait for this loop, which is stuck."""
        if loop.stuck_seconds > PATIENCE_SECONDS:
            return False
        running = loop.running()
        is_first = running is not None and running.tool == tool and not self._has(tool, "tried")
        return is_first or self._own_loops.get(tool) is loop or tool in loop.keepers()

    def _has(self, tool: str, what: str) -> bool:
        return any(tool in getattr(loop, what) for loop in self.loops)

    def _loop_for_one(self) -> ToolLoop:
        """A loop with no other call, while there may be more of them."""
        loops = [loop for loop in self.loops if loop.alone and loop not in self._own_loops.values()]
        answering = [loop for loop in loops if not loop.is_lost]
        best = min(answering or loops, key=lambda loop: loop.load, default=None)
        if best is None or (best.load and len(answering) < self._threads and len(loops) < GIVEN_UP_AT_MOST):
            return self._new_loop(alone=True)
        return best

    def _new_loop(self, *, alone: bool = False) -> ToolLoop:
        loop = ToolLoop(self.name, self.pool, alone=alone)
        self.loops.append(loop)
        return loop

    def _note_stall(self, loop: ToolLoop, call: CallMark | None) -> None:
        tool, place = call.tool if call is not None else "(unknown)", loop.position()
        self._stalls[tool] += 1
        if self._stalls[tool] == 1:
            logger.warning(
                "The tool %r of agent %r blocks the loop that its `async def` tools share, at %s. Until it is free, "
                "the other tools use another one.",
                *(tool, self.name, place),
            )
        elif call is not None and tool not in self.blocking and self._has(tool, "tried"):
            self.blocking[tool] = place
            if tool in loop.keepers():
                loop.alone, self._own_loops[tool] = True, loop
            elif self._has(tool, "waited"):
                self._own_loops[tool] = self._new_loop(alone=True)
            logger.warning(
                "The tool %r of agent %r blocks its loop again and again, at %s. Use `await asyncio.sleep()` and async "
                "clients, or write `def execute` instead of `async def execute`. Until the agent is reloaded, it gets "
                "threads of its own.",
                *(tool, self.name, place),
            )
            self._on_blocking(self.name, tool, place)


def _same(value: Any) -> Any:
    return value
