"""A driver in JavaScript that node runs: it is told which method to call, and tells what its client was given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import orjson

from tests.support.paths import ROOT
from tests.support.services import lacking, program

CONSOLE = ROOT / "console"
HERE = Path(__file__).parent
WAIT_SECONDS = 60.0
LINE_BYTES = 2**24


class RequestFailed(Exception):
    """A method of the client threw: its words or the name of the error, and its status or code if there is one."""

    @property
    def status(self) -> int | None:
        status: int | None = self.args[1]
        return status


class NodeProcess:
    """A client in a process of its own. `take` is told all that it says without being asked."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ids = count(1)
        self._changed = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    def take(self, told: dict[str, Any]) -> None:
        raise NotImplementedError

    async def call(self, method: str, *arguments: Any) -> Any:
        """What a method of the driver returns. Raises `RequestFailed`."""
        assert self._process.stdin is not None
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(orjson.dumps({"id": number, "call": method, "args": arguments}) + b"\n")
        async with asyncio.timeout(WAIT_SECONDS):
            return await answer

    async def comes(self, is_there: Callable[[], bool]) -> None:
        """Wait until what was told makes this true."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: is_there() or self._listening.done())
        assert is_there(), "the client has ended"

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            match json.loads(line):
                case {"id": number, "value": value}:
                    self._answers.pop(number).set_result(value)
                case {"id": number, "error": [words, status]}:
                    self._answers.pop(number).set_exception(RequestFailed(words, status))
                case told:
                    self.take(told)
            async with self._changed:
                self._changed.notify_all()

    async def end(self) -> None:
        """Let it close; it has to end without an error."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._listening
                assert await self._process.wait() == 0
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()


Process = TypeVar("Process", bound=NodeProcess)


def node_package(name: str) -> Path:
    """Where the console has a package of node's; tests that need one which is not installed are left out."""
    folder = CONSOLE / "node_modules" / name
    if not folder.exists():
        lacking("the packages of console/ are not installed: make console-check")
    return folder


@asynccontextmanager
async def node(kind: type[Process], driver: str, *arguments: str) -> AsyncIterator[Process]:
    """A driver that is beside this file, in node; it ends with the block."""
    command = [program("node"), str(HERE / driver), *arguments]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=LINE_BYTES)
    client = kind(process)
    try:
        yield client
    finally:
        await client.end()
