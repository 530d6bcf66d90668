"""A client of the protocol, for asyncio.

`stay_connected` reconnects by itself, for programs that follow a conversation whatever happens to the connection:

    async with stay_connected("ws://localhost:8080/", token="mya_…") as client:
        session_id = await client.create_session()
        await client.say(session_id, "Hello")
        async for frame in client:
            match frame.typed():
                case PartialAnswer(content=text): ...
                case FinalAnswer(content=text): break

`connect` is a single connection and ends with it: for tests, tools and clients with rules of their own. Both give
a `Client`.
"""

from __future__ import annotations

from myagent.client.client import Client, connect, stay_connected
from myagent.client.errors import ClientError, ConnectionLost, FrameTooLarge, HandshakeRefused, RequestRefused
from myagent.client.frames import Accepted, Match, Replayed, ServerFrame
from myagent.client.reconnect_loop import Link
from myagent.client.sessions import ExportedState, RestoredSession, SessionInfo, SessionPage
from myagent.client.typed_events import UnknownEvent

__all__ = [
    "Accepted",
    "Client",
    "ClientError",
    "ConnectionLost",
    "ExportedState",
    "FrameTooLarge",
    "HandshakeRefused",
    "Link",
    "Match",
    "Replayed",
    "RequestRefused",
    "RestoredSession",
    "ServerFrame",
    "SessionInfo",
    "SessionPage",
    "UnknownEvent",
    "connect",
    "stay_connected",
]
