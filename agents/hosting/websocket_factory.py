"""Makes the WebSockets of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autobahn.websocket.protocol import WebSocketServerProtocol
from daphne.ws_protocol import WebSocketFactory

from agents.hosting.websocket import CLOSE_SECONDS, AgentWebSocket

if TYPE_CHECKING:
    from agents.hosting.daphne_server import AgentServer


def websocket_factory(server: AgentServer) -> WebSocketFactory:
    """Makes the WebSockets of `server`."""
    factory = WebSocketFactory(server, server=server.server_name)
    largest = server.limits.max_frame_bytes
    factory.setProtocolOptions(
        allowNullOrigin=True,  # who may connect is for the application to say
        autoPingTimeout=0,  # `check_timeouts` does better: autobahn's second ping forgets the timer of the first
        closeHandshakeTimeout=CLOSE_SECONDS,
        failByDrop=False,  # with True a client sees 1006 where 1009, 1007 or 1002 is meant
        maxFramePayloadSize=largest,
        maxMessagePayloadSize=largest,
        openHandshakeTimeout=0,  # `check_timeouts` again
        utf8validateIncoming=False,  # `onMessageEnd` decodes, which validates
    )
    options = {name: getattr(factory, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}
    options = {name: staticmethod(value) if callable(value) else value for name, value in options.items()}
    factory.protocol = type(AgentWebSocket.__name__, (AgentWebSocket,), options)
    return factory
