"""Clients that watch from another process, and that lose theirs: what `bench.cluster` times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import orjson
import psutil  # type: ignore[import-untyped]
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from bench.client import OPENING_AT_ONCE, TURN_SECONDS, Conversation, conversation
from bench.model import CITIES

TALKS = 5
RETRY_SECONDS = 0.2
_END = "agent.final_answer"


async def delays(here: str, there: str) -> list[tuple[float, float]]:
    """Seconds from the time in each event of a few answers of the server `here` to a client of it, and of the other."""

    async def watched(city: str) -> list[tuple[float, float]]:
        async with conversation(here) as talk, watching(here) as near, watching(there) as far:
            for watcher in (near, far):
                await replayed(watcher, talk.session_id, 0)
            late = [asyncio.create_task(_late(watcher)) for watcher in (near, far)]
            await talk.turn(city)
            first, second = await asyncio.gather(*late)
            return [(first[seq], second[seq]) for seq in first]

    return [delay for found in await asyncio.gather(*map(watched, CITIES[:TALKS])) for delay in found]


async def _late(socket: ClientConnection) -> dict[int, float]:
    """How late each event came, by its number, up to the end of an answer."""
    late = {}
    while (frame := await _frame(socket))["event"] != _END:
        if frame.get("seq"):
            late[frame["seq"]] = time.time() - datetime.fromisoformat(frame["timestamp"]).timestamp()
    return late


def watching(url: str) -> connect:
    """A connection that has no session yet."""
    return connect(url, proxy=None, ping_interval=None, open_timeout=60, max_size=None)


async def replayed(socket: ClientConnection, session_id: str, last_seq: int) -> int:
    """Follow a session; returns how many events were sent again."""
    request: dict[str, Any] = {"event": "user.reconnect", "session_id": session_id, "last_seq": last_seq}
    await socket.send(orjson.dumps(request).decode())
    async with asyncio.timeout(TURN_SECONDS):
        while (frame := await _frame(socket))["event"] != "system.notice" or "replayed" not in frame["metadata"]:
            pass
    return int(frame["metadata"]["replayed"])


async def _frame(socket: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = orjson.loads(await socket.recv(decode=False))
    return frame


class Killed:
    """A run of a client at `here` whose process is killed; somebody at `there` watches."""

    def __init__(self, here: str, there: str) -> None:
        self._here = here
        self._there = there

    async def pause(self, kill: Callable[[], None]) -> float:
        """Seconds from the end of the process to the first event of the run after that."""
        return await self._timed(lambda _talk: kill())

    async def pause_of_worker(self, supervisor: int) -> float:
        """The same; it is the worker that serves the client, of this supervisor."""

        def kill(talk: Conversation) -> None:
            port = talk.socket.local_address[1]
            (worker,) = (
                child
                for child in psutil.Process(supervisor).children()
                if any(end.raddr and end.raddr.port == port for end in child.net_connections("tcp"))
            )
            worker.kill()

        return await self._timed(kill)

    async def _timed(self, kill: Callable[[Conversation], None]) -> float:
        async with conversation(self._here) as talk, AsyncExitStack() as stack:
            message = {"event": "user.message", "session_id": talk.session_id, "content": f"How is {CITIES[0]}?"}
            await talk.socket.send(orjson.dumps(message).decode())
            while (await talk.frame())["event"] != "agent.partial_answer":
                pass
            before = time.monotonic()
            await asyncio.to_thread(kill, talk)
            last_seq = int(talk.last["seq"])
            while True:  # the watcher may have been a client of the same worker
                try:
                    watcher = await stack.enter_async_context(watching(self._there))
                    await replayed(watcher, talk.session_id, last_seq)
                    while (frame := await _frame(watcher))["event"] != "agent.step_reset":
                        last_seq = frame.get("seq") or last_seq
                    resumed = time.monotonic()
                    while (await _frame(watcher))["event"] != _END:
                        pass
                    return resumed - before
                except (OSError, WebSocketException):
                    await asyncio.sleep(RETRY_SECONDS)


async def storm(url: str, supervisor: int, count: int) -> list[float]:
    """Seconds until each of so many clients has its session again after all workers of a supervisor were killed."""
    gate = asyncio.Semaphore(OPENING_AT_ONCE)
    lost = asyncio.Event()
    ready: list[None] = []

    async def client() -> float:
        async with gate:
            opened = conversation(url)
            talk = await opened.__aenter__()
        ready.append(None)
        await lost.wait()
        began = time.monotonic()
        while True:
            try:
                async with watching(url) as socket:
                    await replayed(socket, talk.session_id, 0)
                    return time.monotonic() - began
            except (OSError, EOFError, WebSocketException, TimeoutError):
                await asyncio.sleep(RETRY_SECONDS)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client()) for _ in range(count)]
        while len(ready) < count:
            await asyncio.sleep(0.1)
        for worker in psutil.Process(supervisor).children():
            worker.kill()
        lost.set()
    return [task.result() for task in tasks]
