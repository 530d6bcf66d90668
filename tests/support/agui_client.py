"""The official clients of AG-UI and of the Vercel AI SDK, run by node, and driven from here.

async with agui_client(server, "tools", thread_id) as client:
    await client.call("say", "m-1", "hello")
    await client.messages()
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from tests.support.paths import ROOT
from tests.support.services import lacking, program

CONSOLE = ROOT / "console"
HERE = Path(__file__).parent
WAIT_SECONDS = 60.0
LINE_BYTES = 2**24


class RequestFailed(Exception):
    """A method of the client threw: its words, and the HTTP status if there is one."""

    @property
    def status(self) -> int | None:
        return self.args[1]


class NodeClient:
    """A client in a process of its own, in one thread. `events` are all that it was given."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.events: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self._process = process
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ids = count(1)
        self._changed = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    async def call(self, method: str, *arguments: Any) -> Any:
        """What a method of the driver returns. Raises `RequestFailed`."""
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(orjson.dumps({"id": number, "call": method, "args": arguments}) + b"\n")
        async with asyncio.timeout(WAIT_SECONDS):
            return await answer

    async def messages(self) -> list[dict[str, Any]]:
        return await self.call("messages")

    async def until(self, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event that matches, of all so far and to come."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: any(map(matches, self.events)) or self._listening.done())
        return next(filter(matches, self.events))

    async def _listen(self) -> None:
        async for line in self._process.stdout:
            match json.loads(line):
                case {"event": event}:
                    self.events.append(event)
                case {"text": _} as shown:
                    self.events.append(shown)
                case {"warning": words}:
                    self.warnings.append(words)
                case {"id": number, "value": value}:
                    self._answers.pop(number).set_result(value)
                case {"id": number, "error": error}:
                    self._answers.pop(number).set_exception(RequestFailed(error["message"], error["status"]))
            async with self._changed:
                self._changed.notify_all()

    async def end(self) -> None:
        self._process.stdin.close()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._listening
                assert await self._process.wait() == 0
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()


@asynccontextmanager
async def agui_client(server: Any, agent: str, thread_id: str, token: str = "") -> AsyncIterator[NodeClient]:
    """An `HttpAgent` for this agent; it leaves with the block."""
    url = f"http://127.0.0.1:{server.port}/api/agui/{agent}/"
    async with _node("agui_client.mjs", "@ag-ui/client", url, thread_id, token) as client:
        yield client


@asynccontextmanager
async def chat_client(server: Any, path: str, chat_id: str, token: str = "") -> AsyncIterator[NodeClient]:
    """A chat of the AI SDK at this path; it leaves with the block."""
    url = f"http://127.0.0.1:{server.port}{path}"
    async with _node("chat_client.mjs", "ai", url, chat_id, token) as client:
        yield client


@asynccontextmanager
async def _node(driver: str, package: str, *arguments: str) -> AsyncIterator[NodeClient]:
    if not (CONSOLE / "node_modules" / package).exists():
        lacking("the packages of console/ are not installed: make console-check")
    command = [program("node"), str(HERE / driver), str(CONSOLE), *arguments]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=LINE_BYTES)
    client = NodeClient(process)
    try:
        yield client
    finally:
        await client.end()
