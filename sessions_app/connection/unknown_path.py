"""The consumer for WebSocket paths that do not exist."""

from __future__ import annotations

from typing import Any

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from agents.access.subprotocol import acceptance
from myagent.protocol.error_codes import CloseCode


class UnknownPath(AsyncConsumer):
    """Accepts, then closes with the reason: browsers report a refused handshake as 1006 and hide why."""

    channel_layer_alias = "myagent-none"

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        await self.send(acceptance(self.scope))
        await self.send({"type": "websocket.close", "code": CloseCode.NO_SUCH_AGENT, "reason": "no such path"})

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """Ignored: the connection is being closed."""

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        raise StopConsumer
