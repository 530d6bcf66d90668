"""Which calls of one reply wait for others: those of sequential tools, and those beyond `max_parallel_tools`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace

from myagent.loop.prepared_calls import PreparedCall
from myagent.tool.base_tool import BaseTool


def line_up(calls: Sequence[PreparedCall], max_parallel: int | None) -> list[PreparedCall]:
    """`calls`, of which those that cannot begin at once say so: their start is stored when they do begin."""
    if max_parallel is None and not any(_is_sequential(call) for call in calls):
        return list(calls)
    lined_up, begun, has_sequential = [], 0, False
    for call in calls:
        has_to_wait = (max_parallel is not None and begun >= max_parallel) or (has_sequential and _is_sequential(call))
        if not call.requested.waits and has_to_wait:
            call = replace(call, requested=replace(call.requested, waits=True), reports_start=True)
        elif not call.requested.waits:
            begun += 1
        has_sequential = has_sequential or (_is_sequential(call) and call.problem is None)
        lined_up.append(call)
    return lined_up


def _is_sequential(call: PreparedCall) -> bool:
    return call.tool is not None and call.tool.sequential


class CallOrder:
    """The calls of one reply take their turns here, in the order in which they ask."""

    def __init__(self, max_parallel: int | None) -> None:
        self._sequential = asyncio.Lock()
        self._places = asyncio.Semaphore(max_parallel) if max_parallel is not None else None

    def turn(self, tool: BaseTool) -> AbstractAsyncContextManager[object]:
        """Hold it from before the user is asked until the call has ended: sequential calls follow one another."""
        return self._sequential if tool.sequential else nullcontext()

    def place(self) -> AbstractAsyncContextManager[object]:
        """Hold it while the tool's code runs."""
        return self._places if self._places is not None else nullcontext()
