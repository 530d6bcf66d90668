"""Replacing all workers by new ones while they serve: other code, other packages, the same port and conversations."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

from agents.supervisor.worker_process import WorkerProcess, describe_end

logger = logging.getLogger("myagent.server")

START_SECONDS = 300.0
"""A new worker that does not serve after so long is given up; it may have to migrate the database."""


@dataclass(frozen=True)
class RestartOutcome:
    """How many workers were replaced, and why no more were; `error` is empty when all were."""

    replaced: int
    error: str = ""


class RollingRestart:
    """One after the other: a new worker serves, then the old one stops in order. The first failure leaves the rest.

    `places` are those of the supervisor; `start` starts a worker, given what may fail to load in it.
    """

    def __init__(
        self,
        places: list[WorkerProcess | None],
        start: Callable[[list[str]], Awaitable[WorkerProcess]],
        *,
        end_seconds: float,
    ) -> None:
        self._places = places
        self._start = start
        self._end_seconds = end_seconds
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[RestartOutcome]] = []

    def request(self) -> asyncio.Future[RestartOutcome]:
        """Ask for one, which begins after one that is under way."""
        outcome: asyncio.Future[RestartOutcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(outcome)
        self._wanted.set()
        return outcome

    async def serve(self) -> NoReturn:
        """Do what is asked for, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            waiting, self._waiting = self._waiting, []
            outcome = await self._replace_all()
            for each in waiting:
                if not each.done():
                    each.set_result(outcome)

    async def _replace_all(self) -> RestartOutcome:
        logger.info("Replacing %d workers, one after the other.", len(self._places))
        for place in range(len(self._places)):
            try:
                error = await self._replace(place)
            except OSError as failure:
                error = str(failure)
            if error:
                words = "❌ %d of %d workers were replaced, the others stay as they are: %s"
                logger.error(words, place, len(self._places), error)
                return RestartOutcome(place, error)
        logger.info("All %d workers were replaced.", len(self._places))
        return RestartOutcome(len(self._places))

    async def _replace(self, place: int) -> str:
        """Replace the worker in one place; returns why not, if so."""
        known = next((worker.failures for worker in self._living_first(place) if worker.is_ready), [])
        successor = await self._start(known)
        try:
            async with asyncio.timeout(START_SECONDS):
                is_up = await successor.comes_up()
        except TimeoutError:
            successor.signal(signal.SIGKILL)
            return f"the new one did not serve within {START_SECONDS:g} s"
        if not is_up:
            return successor.failure or f"the new one {describe_end(await successor.ended)}"
        before, self._places[place] = self._places[place], successor
        if before is not None:
            await self._end(before)
        return ""

    def _living_first(self, place: int) -> list[WorkerProcess]:
        """The worker in this place, then the others."""
        ordered = [self._places[place], *self._places]
        return [worker for worker in ordered if worker is not None and not worker.ended.done()]

    async def _end(self, worker: WorkerProcess) -> None:
        worker.stop()
        await asyncio.wait({worker.ended}, timeout=self._end_seconds)
        if not worker.ended.done():
            words = "Worker %d (process %d) has not ended after %g s; ending it by force."
            logger.warning(words, worker.number, worker.pid, self._end_seconds)
            worker.signal(signal.SIGKILL)
