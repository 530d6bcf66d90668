"""A worker of a supervisor that serves no agents: one line in, one line out, so that it starts in a moment.

Run by its path, with the command line that a test gives its supervisor. `WORKER_BREAKS` names a file; while it exists,
a worker fails as it says.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from agents.supervisor import supervisor_link
from agents.supervisor.handover import Handover
from agents.supervisor.supervisor_link import SupervisorLink

DRAIN_SECONDS = 0.0
supervisor_link.BEAT_SECONDS = 0.2  # so that tests of silence do not take long


class SmallWorker:
    """Answers `who` and `grown` (what others have told); `wake NAME` tells the others; `quit CODE` ends."""

    def __init__(self, handover: Handover) -> None:
        self._number = handover.number
        self._link = SupervisorLink(handover, drain_seconds=DRAIN_SECONDS)
        self._told: dict[str, int] = {}
        self._link.on_grown = self._told.update

    async def serve(self) -> None:
        """Until it is told to stop."""
        self._link.watch()
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        self._link.open(loop, lambda: loop.call_soon_threadsafe(stopped.set))
        breaks = Path(os.environ.get("WORKER_BREAKS", "/nowhere"))
        if breaks.exists():
            self._link.failed(breaks.read_text())
            sys.exit(3)
        servers = [await asyncio.start_server(self._answer, sock=sock) for sock in self._link.sockets()]
        self._link.ready(lambda: [])
        await stopped.wait()
        self._link.leave()
        for server in servers:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match (await reader.readline()).decode().split():
            case ["who"]:
                writer.write(f"{self._number} {os.getpid()}\n".encode())
            case ["grown"]:
                writer.write(f"{' '.join(sorted(self._told))}\n".encode())
            case ["wake", name]:
                self._link.wake({name: 1})
            case ["quit", code]:
                os._exit(int(code))
        writer.close()


if __name__ == "__main__":
    handed = Handover.take()
    assert handed is not None, "a supervisor starts it"
    asyncio.run(SmallWorker(handed).serve())
