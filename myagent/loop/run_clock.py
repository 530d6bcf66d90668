"""The time that a run has taken, without what it waited for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from myagent.loop.host import ConfirmationRequest, Decision, Host
from myagent.loop.pausable_timeout import PausableTimeout
from myagent.messages import Message
from myagent.tool.base_tool import BaseTool


class RunClock:
    """Counts from `seconds`, which the run has taken already; `now` is a clock that never goes back, in seconds."""

    def __init__(self, seconds: float = 0.0, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = now() - seconds
        self._waits = 0
        self._waits_since = 0.0
        self._limits: list[PausableTimeout] = []

    @property
    def seconds(self) -> float:
        """What the run has taken so far."""
        return (self._waits_since if self._waits else self._now()) - self._began

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The run waits for a person, which does not count; waits may overlap."""
        if self._waits == 0:
            self._waits_since = self._now()
        self._waits += 1
        try:
            with ExitStack() as stack:
                for limit in self._limits:
                    stack.enter_context(limit.paused())
                yield
        finally:
            self._waits -= 1
            if self._waits == 0:
                self._began += self._now() - self._waits_since

    @contextmanager
    def stopping(self, limit: PausableTimeout) -> Iterator[None]:
        """What the run waits for people within the block, which has this limit, does not count there either."""
        self._limits.append(limit)
        try:
            yield
        finally:
            self._limits.remove(limit)


class ClockedHost:
    """A host whose questions to people stop the clock of the run."""

    def __init__(self, host: Host, clock: RunClock) -> None:
        self._host = host
        self._clock = clock

    async def confirm(self, request: ConfirmationRequest) -> Decision:
        with self._clock.waiting():
            return await self._host.confirm(request)

    async def execute(self, tool: BaseTool, call: Callable[[], Any]) -> Any:
        return await self._host.execute(tool, call)

    async def said_meanwhile(self) -> Sequence[Message]:
        return await self._host.said_meanwhile()
