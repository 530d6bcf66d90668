"""Connections to the workers of a server under a supervisor: which of them serves which."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from myagent.client import Client
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.worker_pids import workers_of

_ESTABLISHED = "01"
MOST_TRIES = 60
"""Connections after which one should have come to the other worker."""


def worker_with(server: AgentServer, client: Client) -> int:
    """The id of the worker that serves this connection."""
    address: Any = client._transport.socket.local_address  # type: ignore[union-attr]
    inodes = {
        row[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for row in map(str.split, Path(table).read_text().splitlines()[1:])
        if (_port(row[1]), _port(row[2]), row[3]) == (server.port, address[1], _ESTABLISHED)
    }
    (worker,) = {pid for pid in workers_of(server) if _sockets(pid) & inodes}
    return worker


def _port(end: str) -> int:
    return int(end.rpartition(":")[2], 16)


def _sockets(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(file)):
                    found.add(match[1])
    return found


@asynccontextmanager
async def on_two_workers(server: AgentServer, **options: Any) -> AsyncIterator[tuple[Client, Client]]:
    """Two connections that two different workers serve."""
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(connected(server, **options))
        first = worker_with(server, here)
        for _ in range(MOST_TRIES):
            there = await stack.enter_async_context(connected(server, **options))
            if worker_with(server, there) != first:
                yield here, there
                return
        raise AssertionError("one worker takes all connections")
