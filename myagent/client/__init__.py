"""A client of the protocol, for asyncio.

`stay_connected` is for programs that want to see a conversation through, whatever happens to the connection:

    async with stay_connected("ws://localhost:8080/", token="mya_…") as client:
        session_id = await client.create_session()
        await client.say(session_id, "Hello")
        async for frame in client:
            match frame.typed():
                case PartialAnswer(content=text): ...
                case FinalAnswer(content=text): break

`connect` is one connection and no more, for those who want to see it end: tests, tools, clients with other rules.
"""

from __future__ import annotations

from myagent.client.connection import Client, connect
from myagent.client.errors import ClientError, ConnectionLost, FrameTooLarge, HandshakeRefused, RequestRefused
from myagent.client.frames import Accepted, Match, Replayed, ServerFrame
from myagent.client.line import Link
from myagent.client.sessions import ExportedState, RestoredSession, SessionInfo, SessionPage
from myagent.client.steady import SteadyClient, stay_connected
from myagent.client.typed import UnknownEvent

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
    "SteadyClient",
    "UnknownEvent",
    "connect",
    "stay_connected",
]
