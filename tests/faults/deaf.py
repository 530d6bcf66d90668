"""A client that wants everything and reads nothing: it is cut off, and costs nobody else anything."""

from __future__ import annotations

import asyncio
import json
import socket
from random import Random

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import WebSocketException

from tests.faults.conversations import Conversations
from tests.support.agent_server import AgentServer

RECEIVE_BYTES = 4096
CUT_WITHIN_SECONDS = 60.0
"""Far more than a server gives it, since servers are paused and their machine is busy."""


async def deaf_client(servers: list[AgentServer], shared: Conversations, random: Random, stop: asyncio.Event) -> None:
    """Connect to one server after the other until `stop` is set."""
    while not stop.is_set():
        server = random.choice(servers)
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(CUT_WITHIN_SECONDS):
                # Directly: a proxy between would read for it.
                async with open_websocket(
                    server.url, max_queue=1, sock=_small_socket(server.port), ping_interval=None, close_timeout=0.1
                ) as connection:
                    await _ask_for_ever(connection, shared, stop)
        except (OSError, EOFError, WebSocketException):
            await asyncio.sleep(random.uniform(0.1, 0.5))
        except TimeoutError:
            shared.problems.append(f"a client that did not read for {CUT_WITHIN_SECONDS:g} s was not cut off")
        else:
            return
        if asyncio.get_running_loop().time() - begun > 1:
            shared.counts["connections of a client that never reads"] += 1


async def _ask_for_ever(connection: ClientConnection, shared: Conversations, stop: asyncio.Event) -> None:
    """Have all logs sent again and again, as fast as the server takes that."""
    while not stop.is_set():
        for session_id in list(shared.talks):
            await connection.send(json.dumps({"event": "user.reconnect", "session_id": session_id}))
        await asyncio.sleep(0.05)


def _small_socket(port: int) -> socket.socket:
    """A connected socket in which little has room that is not read."""
    small = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    try:
        small.connect(("127.0.0.1", port))
    except OSError:
        small.close()
        raise
    small.setblocking(False)
    return small
