"""Frames in, frames out. What is allowed and what happens is decided in `services`."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from channels.consumer import AsyncConsumer, get_handler_name
from channels.exceptions import StopConsumer
from django.db import Error

from agents.access.decision import ConnectionRefused, Grant, HandshakeForbidden, authorize, require_agent
from agents.database.threads import is_away
from agents.loading.registry import get_registry
from myagent import __version__
from myagent.i18n import gettext as _
from myagent.protocol import client_events as events
from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.codec import encode, parse_frame, refusal_event, timestamp
from myagent.protocol.direct_events import ConnectedMetadata, HeartbeatMetadata, SystemConnected, SystemHeartbeat
from myagent.protocol.error_codes import CloseCode, ErrorCode, ProtocolError
from myagent.protocol.server_base import PROTOCOL_VERSION
from myagent.text import short_id
from sessions_app.connection import requests, state_requests
from sessions_app.connection.frame_log import frame_line
from sessions_app.connection.requester import Client, try_again
from sessions_app.delivery.error_details import may_read_details, with_details
from sessions_app.delivery.pump import Pump
from sessions_app.engine import Engine
from sessions_app.upkeep.access_watch import Budget

logger = logging.getLogger("myagent.connections")


class AgentConsumer(AsyncConsumer):
    """One WebSocket connection."""

    engine: Engine
    client: Client
    grant: Grant
    pump: Pump
    told_until: Mapping[Budget, datetime] = MappingProxyType({})
    _pumping: asyncio.Task[None] | None = None
    _revoked = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Channels' own waits for the socket and a channel layer together, with a task per message. There is no layer
        # here (wake-ups reach the process, not the connection), so a loop does: less to do, 2 KiB less to keep.
        self.scope, self.base_send = scope, send
        try:
            while True:
                await self.dispatch(await receive())
        except StopConsumer:
            return
        finally:
            # Here and not in `websocket_disconnect`: a handler that is still busy long after its client has left is
            # cancelled by the server, and the message never comes.
            self._let_go()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Channels' own dispatch cleans up database connections in the process's one shared thread at every message
        # (django/channels#2118); handlers here do their database work in `agents.database.threads`, which does its own.
        await getattr(self, get_handler_name(message))(message)

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        engine = self.scope.get("state", {}).get("engine")
        if engine is None:
            logger.error("No engine is running: serve with runagent, or with a server that speaks ASGI lifespan.")
            return await self._refuse(CloseCode.SERVER_FAULT, "no engine")
        self.engine = engine
        if self._is_full():
            return await self._refuse(CloseCode.OVER_LIMIT, "too many connections")
        try:
            self.grant = await authorize(self.scope, engine.config)
            agent = self._agent_of_path()
            # One that is switched off begins nothing new, but its sessions are there.
            require_agent(self.grant, agent, get_registry().all_names)
        except HandshakeForbidden:
            await self.send({"type": "websocket.close"})
            return None
        except ConnectionRefused as refusal:
            return await self._refuse(refusal.close_code, refusal.code)
        except Error as error:
            if not is_away(error):
                raise
            logger.warning("Nobody can be let in while the database does not answer (%s).", error)
            return await self._refuse(CloseCode.RESTARTING, ErrorCode.TRY_AGAIN)
        # Again, for those who came at the same moment: all of them found room before the first was let in.
        if self._is_full():
            return await self._refuse(CloseCode.OVER_LIMIT, "too many connections")
        await self.send({"type": "websocket.accept"})
        self._begin(agent)
        return None

    def _is_full(self) -> bool:
        limit = self.engine.config.max_connections
        if is_full := len(self.engine.connections) >= limit:
            logger.warning("Refused a connection: %d are open already (MAX_CONNECTIONS).", limit)
        return is_full

    def _agent_of_path(self) -> str:
        named: str | None = self.scope["url_route"]["kwargs"].get("agent")
        if named is not None:
            return named
        # A token that is limited to some agents has its first one as the default, of those that are on if any is.
        registry = get_registry()
        usable = [name for name in (*registry.names, *registry.all_names) if self.grant.allows(name)]
        default = registry.default
        return usable[0] if usable else default.name if default else ""

    async def _refuse(self, code: int, reason: str) -> None:
        # Accepted first: a browser shows a refused handshake as a bare 1006 and hides the reason.
        await self.send({"type": "websocket.accept"})
        await self.send({"type": "websocket.close", "code": code, "reason": reason})

    def _begin(self, agent: str) -> None:
        connection_id = str(uuid.uuid4())
        send = with_details(self._send_frame) if may_read_details(self.grant, self.engine.config) else self._send_frame
        self.pump = Pump(connection_id, self.engine.hub, send, self.engine.config)
        self.client = Client(connection_id=connection_id, grant=self.grant, agent=agent, pump=self.pump)
        self._heartbeat_at = asyncio.get_running_loop().time() + self.engine.config.heartbeat_seconds
        names = [name for name in get_registry().names if self.grant.allows(name)]
        metadata = ConnectedMetadata(
            connection_id=connection_id,
            server=f"MyAgent/{__version__}",
            protocol=PROTOCOL_VERSION,
            agents=names,
            max_frame_bytes=self.engine.config.max_frame_bytes,
        )
        self.pump.direct(SystemConnected(content=_("Connected."), metadata=metadata))
        self._pumping = asyncio.create_task(self._pump_frames())
        self.engine.connections.add(self)

    async def _send_frame(self, frame: str) -> None:
        self._log_frame("->", frame)
        await self.send({"type": "websocket.send", "text": frame})

    def _log_frame(self, arrow: str, frame: str | None) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s %s", short_id(self.client.connection_id), arrow, frame_line(frame))

    async def _pump_frames(self) -> None:
        try:
            await self.pump.run()
        except Exception:
            logger.exception("Sending to connection %s failed; it may come back.", self.client.connection_id)
            await self.send({"type": "websocket.close", "code": CloseCode.SERVER_FAULT})

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """The client is gone; its sessions and runs go on without it."""
        raise StopConsumer

    def _let_go(self) -> None:
        if self._pumping is not None:
            self._pumping.cancel()
            self.engine.connections.discard(self)
            self.pump.close()

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        if not self._may_ask():
            return
        await self.pump.room()
        # Again: what waits here for a client that does not read has room as soon as its connection is closed.
        if not self._may_ask():
            return
        text = message.get("text")
        self._log_frame("<-", text)
        event: ClientEvent | None = None
        try:
            event = parse_frame(message.get("bytes") or b"" if text is None else text)
            await self._handle(event)
        except ProtocolError as error:
            self._refuse_request(error, event)
        except Exception as error:
            if is_away(error):
                client = self.client.connection_id
                logger.warning("A request on connection %s cannot ask the database (%s).", client, error)
                self._refuse_request(try_again(), event)
                return
            logger.exception("A request on connection %s failed.", self.client.connection_id)
            words = _("The server made a mistake with this request; its log has the details.")
            self._refuse_request(ProtocolError(ErrorCode.INTERNAL_ERROR, words), event)

    def _may_ask(self) -> bool:
        return self._pumping is not None and not self._revoked

    def _refuse_request(self, error: ProtocolError, event: ClientEvent | None) -> None:
        if event is not None:
            error.request, error.request_id = event.event, event.request_id
            error.session_id = getattr(event, "session_id", None)
        self.pump.direct(refusal_event(error), session_id=error.session_id, request_id=error.request_id)

    async def _handle(self, event: ClientEvent) -> None:
        engine, client = self.engine, self.client
        match event:
            case events.UserMessage():
                await requests.post_message(engine, client, event)
            case events.UserAck():
                await requests.acknowledge(engine, client, event)
            case events.UserCreateSession():
                await requests.create_session(engine, client, event)
            case events.UserResponse():
                await requests.respond(engine, client, event)
            case events.UserCancel():
                await requests.cancel(engine, client, event)
            case events.UserReconnect():
                await requests.reconnect(engine, client, event)
            case events.UserReconnectWithState():
                await state_requests.reconnect_with_state(engine, client, event)
            case events.UserRequestState():
                await state_requests.request_state(engine, client, event)
            case events.UserListSessions():
                await requests.list_sessions(engine, client, event)
            case events.UserUpdateSession():
                await requests.update_session(engine, client, event)
            case events.UserCloseSession():
                await requests.close_session(engine, client, event)
            case events.UserDeleteSession():
                await requests.delete_session(engine, client, event)
            case _:
                words = _("%(event)s is not supported here.") % {"event": event.event}
                raise ProtocolError(ErrorCode.NOT_SUPPORTED, words)

    # --- Connection, for the engine ---

    @property
    def agents_in_use(self) -> set[str]:
        return {self.client.agent, *self.pump.followed.values()}

    def regrant(self, grant: Grant) -> None:
        self.grant = grant
        self.client = replace(self.client, grant=grant)

    def heartbeat_is_due(self, now: float) -> bool:
        return now >= self._heartbeat_at

    def heartbeat(self, last_seqs: dict[uuid.UUID, int]) -> None:
        self._heartbeat_at = asyncio.get_running_loop().time() + self.engine.config.heartbeat_seconds
        followed = {str(key): last_seqs[key] for key in self.pump.followed if key in last_seqs}
        metadata = HeartbeatMetadata(server_time=timestamp(), sessions=followed)
        self.pump.heartbeat(encode(SystemHeartbeat(metadata=metadata)), last_seqs)

    async def revoke(self) -> None:
        # Before anything else: the requests that have come and were not begun are not carried out any more.
        self._revoked = True
        self.engine.connections.discard(self)
        logger.warning("Closed the connection of %s: what let it in holds no longer.", self.grant.username)
        await self.send({"type": "websocket.close", "code": CloseCode.UNAUTHENTICATED, "reason": "revoked"})
