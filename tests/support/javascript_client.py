"""The client in TypeScript, run by node, and driven from here.

async with javascript_client(url) as client:
    session_id = await client.call("createSession")
    await client.until(lambda frame: frame.ends_run)
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from myagent.client import ServerFrame
from tests.support.node_process import CONSOLE, NodeProcess, node, node_package
from tests.support.services import program


class JavascriptClient(NodeProcess):
    """A `Client` of the package. `frames` are all events that it was given."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.frames: list[ServerFrame] = []
        self.links: list[tuple[str, int | None]] = []
        super().__init__(process)

    def take(self, told: dict[str, Any]) -> None:
        match told:
            case {"frame": frame}:
                self.frames.append(ServerFrame.parse(orjson.dumps(frame)))
            case {"link": state, "code": code}:
                self.links.append((state, code))

    async def until(self, matches: Callable[[ServerFrame], bool]) -> ServerFrame:
        """The first event that matches, of all so far and to come."""
        await self.comes(lambda: any(map(matches, self.frames)))
        return next(filter(matches, self.frames))

    async def until_link(self, *states: str) -> None:
        """Wait until the connection has gone through these states, one after the other, since it was asked last."""
        await self.comes(lambda: _has_in_order([state for state, _code in self.links], states))
        self.links.clear()


def _has_in_order(states: list[str], wanted: tuple[str, ...]) -> bool:
    rest = iter(states)
    return all(state in rest for state in wanted)


@asynccontextmanager
async def javascript_client(url: str) -> AsyncIterator[JavascriptClient]:
    """A client that was told to start; it closes with the block, and has to end without an error."""
    package = node_modules() / "myagent-client/dist/index.js"
    async with node(JavascriptClient, "javascript_client.mjs", str(package), str(CONSOLE), url) as client:
        await client.call("start")
        yield client


_folder = tempfile.TemporaryDirectory()


@cache
def node_modules() -> Path:
    """A folder of node's that has the package `myagent-client`, built as it is published."""
    compiler = node_package("typescript") / "bin/tsc"
    folder = Path(_folder.name, "node_modules")
    package = folder / "myagent-client"
    package.mkdir(parents=True)
    shutil.copy(CONSOLE / "client/package.json", package)
    command = [program("node"), str(compiler), "--project", str(CONSOLE / "client"), "--outDir", str(package / "dist")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return folder
