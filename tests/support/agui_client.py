"""The official clients of AG-UI and of the Vercel AI SDK, run by node, and driven from here.

async with agui_client(server, "tools", thread_id) as client:
    await client.call("say", "m-1", "hello")
    await client.messages()
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.support.node_process import CONSOLE, NodeProcess, node, node_package


class DoorClient(NodeProcess):
    """A client of one of our doors. `events` are all that it was given."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.events: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        super().__init__(process)

    def take(self, told: dict[str, Any]) -> None:
        match told:
            case {"event": event}:
                self.events.append(event)
            case {"text": _}:
                self.events.append(told)
            case {"warning": words}:
                self.warnings.append(words)

    async def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = await self.call("messages")
        return messages

    async def until(self, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event that matches, of all so far and to come."""
        await self.comes(lambda: any(map(matches, self.events)))
        return next(filter(matches, self.events))


@asynccontextmanager
async def agui_client(server: Any, agent: str, thread_id: str, token: str = "") -> AsyncIterator[DoorClient]:
    """An `HttpAgent` for this agent; it leaves with the block."""
    node_package("@ag-ui/client")
    url = f"http://127.0.0.1:{server.port}/api/agui/{agent}/"
    async with node(DoorClient, "agui_client.mjs", str(CONSOLE), url, thread_id, token) as client:
        yield client


@asynccontextmanager
async def chat_client(server: Any, path: str, chat_id: str, token: str = "") -> AsyncIterator[DoorClient]:
    """A chat of the AI SDK at this path; it leaves with the block."""
    node_package("ai")
    url = f"http://127.0.0.1:{server.port}{path}"
    async with node(DoorClient, "chat_client.mjs", str(CONSOLE), url, chat_id, token) as client:
        yield client
