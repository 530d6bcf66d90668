"""The client in TypeScript, run by node, and driven from here.

async with javascript_client(url) as client:
    session_id = await client.call("createSession")
    await client.until(lambda frame: frame.ends_run)
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from myagent.client import ServerFrame
from tests.support.paths import ROOT
from tests.support.services import lacking, program

CONSOLE = ROOT / "console"
DRIVER = Path(__file__).with_suffix(".mjs")
WAIT_SECONDS = 60.0
LINE_BYTES = 2**24


class RequestFailed(Exception):
    """A method of the client threw: the name of the error, and its code."""


class JavascriptClient:
    """A `Client` of the package, in a process of its own. `frames` are all events that it was given."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.frames: list[ServerFrame] = []
        self.links: list[tuple[str, int | None]] = []
        self._process = process
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ids = count(1)
        self._changed = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    async def call(self, method: str, *arguments: Any) -> Any:
        """What a method of the client returns. Raises `RequestFailed`."""
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(orjson.dumps({"id": number, "call": method, "args": arguments}) + b"\n")
        async with asyncio.timeout(WAIT_SECONDS):
            return await answer

    async def until(self, matches: Callable[[ServerFrame], bool]) -> ServerFrame:
        """The first event that matches, of all so far and to come."""
        await self._until(lambda: any(map(matches, self.frames)))
        return next(filter(matches, self.frames))

    async def until_link(self, *states: str) -> None:
        """Wait until the connection has gone through these states, one after the other, since it was asked last."""
        await self._until(lambda: _has_in_order([state for state, _code in self.links], states))
        self.links.clear()

    async def _until(self, is_there: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: is_there() or self._listening.done())
        assert is_there(), "the client has ended"

    async def _listen(self) -> None:
        async for line in self._process.stdout:
            match json.loads(line):
                case {"frame": frame}:
                    self.frames.append(ServerFrame.parse(orjson.dumps(frame)))
                case {"link": state, "code": code}:
                    self.links.append((state, code))
                case {"id": number, "value": value}:
                    self._answers.pop(number).set_result(value)
                case {"id": number, "error": error}:
                    self._answers.pop(number).set_exception(RequestFailed(error["name"], error["code"]))
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


def _has_in_order(states: list[str], wanted: tuple[str, ...]) -> bool:
    rest = iter(states)
    return all(state in rest for state in wanted)


@asynccontextmanager
async def javascript_client(url: str) -> AsyncIterator[JavascriptClient]:
    """A client that was told to start; it closes with the block, and has to end without an error."""
    command = [program("node"), str(DRIVER), str(node_modules() / "myagent-client/dist/index.js"), str(CONSOLE), url]
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=LINE_BYTES)
    client = JavascriptClient(process)
    try:
        await client.call("start")
        yield client
    finally:
        await client.end()


_folder = tempfile.TemporaryDirectory()


@cache
def node_modules() -> Path:
    """A folder of node's that has the package `myagent-client`, built as it is published."""
    if not (CONSOLE / "node_modules").exists():
        lacking("the packages of console/ are not installed: make console-check")
    folder = Path(_folder.name, "node_modules")
    package = folder / "myagent-client"
    package.mkdir(parents=True)
    shutil.copy(CONSOLE / "client/package.json", package)
    compiler = CONSOLE / "node_modules/typescript/bin/tsc"
    command = [program("node"), str(compiler), "--project", str(CONSOLE / "client"), "--outDir", str(package / "dist")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return folder
