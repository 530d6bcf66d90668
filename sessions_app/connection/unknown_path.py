"""WebSocket paths that lead nowhere."""

from __future__ import annotations

from typing import Any

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from myagent.protocol.error_codes import CloseCode


class UnknownPath(AsyncConsumer):
    """Tells the client why: a refused handshake would reach a browser as a bare 1006."""

    channel_layer_alias = "myagent-none"

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        await self.send({"type": "websocket.accept"})
        await self.send({"type": "websocket.close", "code": CloseCode.NO_SUCH_AGENT, "reason": "no such path"})

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """Nobody listens."""

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        raise StopConsumer
