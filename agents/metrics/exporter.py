"""Answers Prometheus for this process, or for all workers of its supervisor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib.util import find_spec

from agents.conf import Config
from agents.metrics.instruments import Gauge
from agents.metrics.loop_lag import LoopLag
from agents.metrics.measures import ALL, WORKERS
from agents.metrics.snapshot import Readings, Snapshot
from agents.metrics.worker_files import WorkerFiles
from myagent.daemon_threads import run_in_daemon_thread

logger = logging.getLogger("myagent.server")

WRITE_SECONDS = 1.0
"""Between two times that a worker writes down what it has counted: so much is lost when it is killed."""


def is_installed() -> bool:
    """Whether the extra `metrics` is there."""
    return find_spec("prometheus_client") is not None


class Exporter:
    """Lives on the event loop. `now` reads the gauges of this process, `stored` those of the database.

    Raises `OSError` where what other workers have counted cannot be read: an answer without them would be wrong.
    """

    def __init__(self, config: Config, now: Callable[[], Readings], stored: Callable[[], Awaitable[Readings]]) -> None:
        self._now = now
        self._stored = stored
        self._lag = LoopLag()
        self._files: WorkerFiles | None = None
        if config.workers_dir is not None and config.worker is not None:
            self._files = WorkerFiles(config.workers_dir, config.worker)
        self._inherited = Snapshot()
        self._writing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        """So that nothing older is written after what was told."""

    async def start(self) -> None:
        """Begin to measure, and as a worker to write."""
        self._lag.start()
        if self._files is not None:
            try:
                self._inherited = await run_in_daemon_thread(self._files.open)
            except OSError as error:
                logger.warning("This worker counts for itself alone: %s", error)
                self._files = None
                return
            await self._write(self._files)
            self._writing = asyncio.create_task(self._write_often(self._files), name="metrics")

    async def stop(self) -> None:
        """Write for the last time."""
        self._lag.stop()
        if self._files is not None and self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
            await self._write(self._files)
            self._files.close()

    async def answer(self, accept: str) -> tuple[str, bytes]:
        """The content type and the text for a reader that accepts these types (the header `Accept`)."""
        stored = await self._stored()
        async with self._turn:
            mine = self._snapshot()
            # In a thread: with many agents and tools it is work for a tenth of a second.
            return await run_in_daemon_thread(lambda: self._written(mine, stored, accept))

    def _written(self, mine: Snapshot, stored: Readings, accept: str) -> tuple[str, bytes]:
        # Imported here because it is an extra.
        from agents.metrics.exposition import written
        from agents.metrics.process_gauges import PROCESS_GAUGES

        if self._files is not None:
            others = self._files.exchange(mine)
            for other in (*others.living, *others.dead):
                mine.add_counts(other)
            gauges = [one for one in ALL if isinstance(one, Gauge)]
            mine.merge_gauges(others.living, [*gauges, *PROCESS_GAUGES.values()])
        # Not before: what is the same for all workers is not added up.
        mine.gauges |= {gauge.name: dict(values) for gauge, values in stored.items()}
        return written(mine, accept, of_one_process=self._files is None)

    def _snapshot(self) -> Snapshot:
        # Imported here because it is an extra.
        from agents.metrics.process_gauges import CPU_SECONDS, process_readings

        snapshot = Snapshot.take(ALL, {**self._now(), WORKERS: {(): 1}})
        process = process_readings()
        if (cpu := process.pop(CPU_SECONDS, None)) is not None:
            snapshot.counters[CPU_SECONDS] = {(): cpu}
        snapshot.gauges |= {name: {(): value} for name, value in process.items()}
        snapshot.add_counts(self._inherited)
        return snapshot

    async def _write_often(self, files: WorkerFiles) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._write(files)

    async def _write(self, files: WorkerFiles) -> None:
        async with self._turn:
            snapshot = self._snapshot()
            try:
                await run_in_daemon_thread(lambda: files.write(snapshot))
            except OSError as error:
                logger.warning("What this worker has counted cannot be written down: %s", error)
