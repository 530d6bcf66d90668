"""A TCP proxy that cuts, freezes and slows: for its clients the service behind it is gone, hangs or is slow, for
everybody else it stays.

with Proxy("127.0.0.1", 5432) as proxy:
    ...              # connect to proxy.port
    proxy.cut()      # open connections break, new ones are refused
    proxy.mend()     # on the same port
    proxy.freeze()   # connections stay, new ones are accepted, and nothing is passed on: a service that is stopped
    proxy.thaw()     # what was sent meanwhile is passed on
    proxy.slow(0.1)  # each piece of data is this late; 0 ends that
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

from tests.support.patience import WAIT_SECONDS

CHUNK = 65536


class Proxy:
    """Runs in a thread of its own; a context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._accepted = 0
        self._changed = threading.Condition()
        self._late = 0.0

    def freeze(self) -> None:
        """Pass nothing on any more, in either direction."""
        self._do(self._let_flow(False))

    def thaw(self) -> None:
        """Pass on what was held, and everything from now on."""
        self._do(self._let_flow(True))

    def slow(self, seconds: float) -> None:
        """Pass each piece on so much later."""
        self._late = seconds

    def cut(self) -> None:
        """Break every connection and take no new one."""
        self._do(self._close())

    def mend(self) -> None:
        """Let connections through again."""
        with self._changed:
            self._accepted = 0
        self._do(self._listen())

    def wait_accepted(self, count: int) -> None:
        """Wait until so many connections have come since the start or the last `mend`."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._accepted >= count, WAIT_SECONDS)
        assert came, f"only {self._accepted} of {count} connections came"

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_error: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)

    async def _let_flow(self, flows: bool) -> None:
        if flows:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        self._flowing.set()
        me = asyncio.current_task()
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not me), return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._changed:
            self._accepted += 1
            self._changed.notify_all()
        self._writers.add(writer)
        try:
            await self._flowing.wait()
            their_reader, their_writer = await asyncio.open_connection(*self._target)
            self._writers.add(their_writer)
            try:
                await asyncio.gather(self._copy(reader, their_writer), self._copy(their_reader, writer))
            finally:
                their_writer.transport.abort()
                self._writers.discard(their_writer)
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                if self._late:
                    await asyncio.sleep(self._late)
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.close()
