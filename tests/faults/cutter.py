"""A TCP proxy between clients and servers that breaks each connection after a random number of bytes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Self

CUT_SHARE = 0.9
"""Of the connections; the rest live for as long as both ends do."""
FEWEST_BYTES, MOST_BYTES = 300, 120_000
_CHUNK = 65536


class Cutter:
    """Listens on `port` of the running loop's machine. `target` chooses the port behind it for each connection."""

    def __init__(self, random: Random, target: Callable[[], int]) -> None:
        self.port = 0
        self.cuts = 0
        self.is_cutting = True
        self._random = random
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lane = _Lane(self._budget(), abrupt=self._random.random() < 0.5)
        port = self._target()
        try:
            with suppress(OSError):  # the server is down just now; the client learns of it by the closed connection
                behind, to_server = await asyncio.open_connection("127.0.0.1", port)
                ways = (
                    asyncio.create_task(self._copy(reader, to_server, lane)),
                    asyncio.create_task(self._copy(behind, writer, lane)),
                )
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
                    lane.end(to_server)
        finally:
            lane.end(writer)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lane: _Lane) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                if self.is_cutting and len(data) > lane.left:
                    writer.write(data[: int(lane.left)])
                    self.cuts += 1
                    return
                lane.left -= len(data)
                writer.write(data)
                await writer.drain()

    def _budget(self) -> float:
        """How many bytes may pass; small numbers are as likely as large ones."""
        if self._random.random() > CUT_SHARE:
            return math.inf
        return math.exp(self._random.uniform(math.log(FEWEST_BYTES), math.log(MOST_BYTES)))


class _Lane:
    """What one proxied connection may still carry, both ways together, and how it ends."""

    def __init__(self, left: float, *, abrupt: bool) -> None:
        self.left = left
        self._abrupt = abrupt

    def end(self, writer: asyncio.StreamWriter) -> None:
        """Close with what is on its way, or throw that away."""
        if self._abrupt:
            writer.transport.abort()
        else:
            writer.transport.close()
