"""The server that is asked, and what it was said to offer."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket

from myagent.conformance.frame_rules import Frame
from myagent.conformance.peer import Peer
from myagent.conformance.verdict import NotChecked, expect

MAX_FRAME_BYTES = 64 * 2**20
Value = TypeVar("Value")


@dataclass(frozen=True)
class Server:
    """Where it is, who asks, and which messages make its agent do what the rules are about.

    `token` is that of the user who asks, `other_token` that of another one. `say` is a message that is answered in
    text, `slow` one whose answer takes a while, `confirm` one that makes a tool ask the user. `patience` is how many
    seconds an answer may take.
    """

    url: str
    token: str | None = None
    other_token: str | None = None
    agent: str | None = None
    say: str = "Hello"
    slow: str = "Tell me a long story."
    confirm: str | None = None
    patience: float = 60.0

    @asynccontextmanager
    async def connect(self, *, as_other: bool = False) -> AsyncIterator[Peer]:
        """A connection that was greeted. Raises `Broken`, `OSError` and those of websockets."""
        async with self.open(self.other_token if as_other else self.token) as socket:
            peer = Peer(socket, self.patience)
            await greeting(peer)
            yield peer

    def open(self, token: str | None, *, agent: str | None = None) -> open_websocket:
        """A connection with this token, to an agent if one is named, about which nothing is known yet."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return open_websocket(
            self._address(agent or self.agent),
            additional_headers=headers,
            max_size=MAX_FRAME_BYTES,
            open_timeout=self.patience,
        )

    def _address(self, agent: str | None) -> str:
        if agent is None:
            return self.url
        parts = urlsplit(self.url)
        root = parts.path.partition("/ws/")[0].rstrip("/")
        return urlunsplit(parts._replace(path=f"{root}/ws/{quote(agent, safe='')}/"))

    def needed(self, value: Value | None, option: str, why: str) -> Value:
        """An option that a check cannot do without. Raises `NotChecked`."""
        if value is None:
            raise NotChecked(f"name {why} with {option}")
        return value


async def greeting(peer: Peer) -> Frame:
    """The first frame of a connection. Raises `Broken`."""
    first = await peer.wait_for(lambda frame: True, "the first frame")
    expect(first["event"] == "system.connected", f"the first frame is {first['event']}, not system.connected")
    return first


async def closed_with(socket: ClientConnection) -> int | None:
    """The code with which the server ends a connection."""
    await socket.wait_closed()
    return socket.close_code


def unknown_id() -> str:
    """An id that no server has given out."""
    return str(uuid.uuid4())
