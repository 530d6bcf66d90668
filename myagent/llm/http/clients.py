"""The connections of a model's client: one client per event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable

from myagent.llm.http.endpoint_client import EndpointClient


class Clients:
    """One client per event loop, because connections belong to the loop that opened them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[asyncio.AbstractEventLoop, tuple[EndpointClient, AsyncGenerator[None]]] = {}

    async def get(self, connect: Callable[[], EndpointClient]) -> EndpointClient:
        """The running loop's client; `connect` makes one when there is none yet."""
        loop = asyncio.get_running_loop()
        if kept := self._kept.get(loop):
            return kept[0]
        client = connect()
        keeper = _keep(client)
        await anext(keeper)
        with self._lock:
            # A client refers to its loop, so weak keys would not let go of it: forget closed loops here instead.
            for gone in [old for old in self._kept if old.is_closed()]:
                del self._kept[gone]
            self._kept[loop] = (client, keeper)
        return client

    async def close(self) -> None:
        """Close the running loop's client, if there is one; the next `get` makes a new one."""
        with self._lock:
            kept = self._kept.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept[1].aclose()


async def _keep(client: EndpointClient) -> AsyncGenerator[None]:
    """Closes `client` when it is closed itself, which a loop does with every async generator as it shuts down."""
    try:
        yield
    finally:
        await client.close()
