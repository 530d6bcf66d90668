"""Every second: whether memory is so scarce that nothing new is begun, before the system ends the process."""

from __future__ import annotations

import asyncio
import logging

from agents.hosting.process_memory import ProcessMemory, give_back_memory

logger = logging.getLogger("myagent.server")

_ENOUGH = 0.95
"""The part of the limit at which there is enough again, so that the server does not change its mind all the time."""
_TRIM_SECONDS = 10.0


class MemoryWatch:
    """Lives on the event loop. `limit` is in percent, see `ProcessMemory.percent`; None for none."""

    def __init__(self, limit: float | None, memory: ProcessMemory | None = None) -> None:
        self._limit = limit
        self._memory = memory or ProcessMemory()
        self._trim_at = 0.0
        self.is_scarce = False
        """Whether new connections and messages are refused; what is running goes on."""

    async def look(self) -> None:
        """Look at how much there is."""
        if self._limit is None or (percent := self._memory.percent()) is None:
            return
        was_scarce = self.is_scarce
        self.is_scarce = percent >= self._limit * (_ENOUGH if was_scarce else 1)
        if self.is_scarce and not was_scarce:
            logger.error(
                "Memory is scarce: the process takes %.0f %% of what it can have (MEMORY_PERCENT is %g). New "
                "connections and messages are refused until it takes less; what is running goes on.",
                percent,
                self._limit,
            )
        elif was_scarce and not self.is_scarce:
            logger.warning("There is enough memory again (%.0f %%).", percent)
        now = asyncio.get_running_loop().time()
        if self.is_scarce and now >= self._trim_at:
            self._trim_at = now + _TRIM_SECONDS
            await asyncio.to_thread(give_back_memory)
