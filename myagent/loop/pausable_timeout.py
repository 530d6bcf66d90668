"""A time limit that can stand still."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self


class PausableTimeout:
    """Limits the time of a block as `asyncio.timeout` does: `async with PausableTimeout(seconds) as limit:`.

    The time within `with limit.paused():` does not count, whichever task pauses it; pauses may overlap. Without
    `seconds` there is no limit. Raises `TimeoutError` when the time is over.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timeout = asyncio.Timeout(None)
        self._pauses = 0
        self._seconds_left: float | None = None
        self.is_active = False
        """Whether the block is being executed."""

    async def __aenter__(self) -> Self:
        self._timeout = asyncio.timeout(self._seconds)  # its clock starts now
        await self._timeout.__aenter__()
        self.is_active = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.is_active = False
        await self._timeout.__aexit__(kind, error, traceback)

    @property
    def expired(self) -> bool:
        """Whether the time was over before the block was; not where the block was never entered."""
        return self._timeout.expired()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock. A pause may outlast the block; raises `RuntimeError` when it begins after it."""
        if not self.is_active or self.expired:
            raise RuntimeError("The time limit is over.")
        if self._pauses == 0:
            self._stop()
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if self._pauses == 0 and self.is_active:
                self._resume()

    def _stop(self) -> None:
        deadline = self._timeout.when()
        self._seconds_left = None if deadline is None else deadline - asyncio.get_running_loop().time()
        self._timeout.reschedule(None)

    def _resume(self) -> None:
        if self._seconds_left is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds_left)
