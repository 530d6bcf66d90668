"""The WebSocket consumer: it parses frames, calls the handler of each request, and sends what the pump hands it."""

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

from agents.access.asked_language import asked_language
from agents.access.decision import ConnectionRefused, Grant, HandshakeForbidden, authorize, require_agent
from agents.access.request_count import count_request
from agents.access.subprotocol import acceptance
from agents.access.trace_context import traceparent_of
from agents.budgets.rates import RateExceeded
from agents.database.threads import is_away
from agents.loading.registry import get_registry
from agents.log_context import log_ids
from agents.metrics import measures
from agents.metrics.instruments import OTHER
from myagent import __version__
from myagent.i18n import gettext as _
from myagent.i18n import speak
from myagent.protocol.client_events import UserAck
from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.codec import encode, refusal_event, timestamp
from myagent.protocol.direct_events import ConnectedMetadata, HeartbeatMetadata, SystemConnected, SystemHeartbeat
from myagent.protocol.error_codes import CloseCode, ErrorCode, ProtocolError
from myagent.protocol.server_base import PROTOCOL_VERSION
from myagent.text import short_id
from sessions_app.connection import fork_requests, handlers, requests, state_requests
from sessions_app.connection.frame_log import frame_line
from sessions_app.connection.requester import Requester
from sessions_app.delivery.error_details import may_read_details, with_details
from sessions_app.delivery.pump import Pump
from sessions_app.engine import Engine
from sessions_app.services.caller import default_agent
from sessions_app.services.connection_room import why_full
from sessions_app.services.heavy_work import parsed
from sessions_app.services.refusals import too_many_requests, try_again
from sessions_app.upkeep.access_watch import Budget
from sessions_app.upkeep.gauges import WEBSOCKET

logger = logging.getLogger("myagent.connections")

HANDLERS = handlers.table(requests, fork_requests, state_requests)


class AgentConsumer(AsyncConsumer):
    """One WebSocket connection."""

    door = WEBSOCKET
    engine: Engine
    requester: Requester
    grant: Grant
    pump: Pump
    notified_until: Mapping[Budget, datetime] = MappingProxyType({})
    _pumping: asyncio.Task[None] | None = None
    _revoked = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Channels' own waits for the socket and a channel layer together, with a task for each message. There is no
        # layer here (wake-ups reach the process, not the connection), so a loop is enough, and saves 2 KiB.
        self.scope, self.base_send = scope, send
        try:
            while True:
                await self.dispatch(await receive())
        except StopConsumer:
            return
        finally:
            # Not in `websocket_disconnect`: a handler that is still busy long after its client has left is cancelled
            # by the server, and that message never comes.
            self._release()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Channels' own dispatch cleans up database connections for every message, in one thread that the whole process
        # shares (django/channels#2118). Handlers here use the database in `agents.database.threads`, which cleans up.
        await getattr(self, get_handler_name(message))(message)

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        engine = self.scope.get("state", {}).get("engine")
        if engine is None:
            logger.error("No engine is running: serve with runagent, or with a server that supports ASGI lifespan.")
            return await self._refuse(CloseCode.SERVER_FAULT, "no engine")
        # For this task, in which all requests of the connection are handled, and those that it begins.
        speak(asked_language(self.scope))
        self.engine = engine
        if reason := why_full(self.engine):
            return await self._refuse(CloseCode.OVER_LIMIT, reason)
        try:
            self.grant = await authorize(self.scope, engine.config)
            agent = self._agent_of_path()
            # Also a disabled agent: it begins no run, but its sessions can be read.
            require_agent(self.grant, agent, get_registry().all_names)
        except HandshakeForbidden:
            await self.send({"type": "websocket.close"})
            return None
        except ConnectionRefused as refusal:
            return await self._refuse(refusal.close_code, refusal.code)
        except Error as error:
            if not is_away(error):
                raise
            logger.warning("Refused a connection: the database does not answer (%s).", error)
            return await self._refuse(CloseCode.RESTARTING, ErrorCode.TRY_AGAIN)
        # Again: of several that arrived at the same moment, each found room before the first was accepted.
        if reason := why_full(self.engine):
            return await self._refuse(CloseCode.OVER_LIMIT, reason)
        await self.send(acceptance(self.scope))
        self._start(agent)
        return None

    def _agent_of_path(self) -> str:
        named: str | None = self.scope["url_route"]["kwargs"].get("agent")
        return named if named is not None else default_agent(self.grant)

    async def _refuse(self, code: int, reason: str) -> None:
        # Accepted first: a browser shows a refused handshake as a bare 1006 and hides the reason.
        await self.send(acceptance(self.scope))
        await self.send({"type": "websocket.close", "code": code, "reason": reason})

    def _start(self, agent: str) -> None:
        connection_id = str(uuid.uuid4())
        log_ids(connection=connection_id, user_id=self.grant.user_id)
        may_read = may_read_details(self.grant, self.engine.config)
        send = self._send_detailed_frame if may_read else self._send_frame
        self.pump = Pump(connection_id, self.engine.hub, send, self.engine.config)
        self.pump.language = asked_language(self.scope)
        trace = traceparent_of(self.scope)
        self.requester = Requester(
            connection_id=connection_id, grant=self.grant, agent=agent, pump=self.pump, traceparent=trace
        )
        self._heartbeat_at = asyncio.get_running_loop().time() + self.engine.config.heartbeat_seconds
        names = [name for name in get_registry().names if self.grant.allows(name)]
        metadata = ConnectedMetadata(
            connection_id=connection_id,
            server=f"MyAgent/{__version__}",
            protocol=PROTOCOL_VERSION,
            agents=names,
            max_frame_bytes=self.engine.config.max_frame_bytes,
            user=self.grant.username,
            credential=self.grant.kind,
            staff=self.grant.is_staff or None,
        )
        self.pump.direct(SystemConnected(content=_("Connected."), metadata=metadata))
        self._pumping = asyncio.create_task(self._pump_frames())
        self.engine.connections.add(self)
        self._forget_handshake()

    def _forget_handshake(self) -> None:
        # What called this keeps both for as long as the connection: 2 KiB, more with the headers that browsers send.
        if isinstance(headers := self.scope.get("headers"), list):
            headers.clear()
        self.scope.clear()  # a copy, which the router made

    async def _send_frame(self, frame: str) -> None:
        self._log_frame("->", frame)
        await self.send({"type": "websocket.send", "text": frame})

    async def _send_detailed_frame(self, frame: str) -> None:
        await self._send_frame(await with_details(frame))

    def _log_frame(self, arrow: str, frame: str | None) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s %s", short_id(self.requester.connection_id), arrow, frame_line(frame))

    async def _pump_frames(self) -> None:
        try:
            await self.pump.run()
        except Exception:
            logger.exception(
                "Sending to connection %s failed; closing it. The client may reconnect.", self.requester.connection_id
            )
            await self.send({"type": "websocket.close", "code": CloseCode.SERVER_FAULT})

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """The client has left; its sessions and runs continue without it."""
        measures.CONNECTIONS_CLOSED.add(WEBSOCKET, measures.close_code(message.get("code")))
        raise StopConsumer

    def _release(self) -> None:
        if self._pumping is not None:
            self._pumping.cancel()
            self.engine.connections.discard(self)
            self.pump.close()

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        if not self._is_open():
            return
        await self.pump.room()
        # Again: a request that waited for a client which does not read gets room when the connection is closed.
        if not self._is_open():
            return
        text = message.get("text")
        self._log_frame("<-", text)
        event: ClientEvent | None = None
        try:
            frame: str | bytes = message.get("bytes") or b"" if text is None else text
            event = await self._admitted(frame)
            if event is not None:
                await self._handle(event)
        except ProtocolError as error:
            self._refuse_request(error, event)
        except Exception as error:
            if is_away(error):
                connection_id = self.requester.connection_id
                logger.warning("A request on connection %s cannot reach the database (%s).", connection_id, error)
                self._refuse_request(try_again(), event)
                return
            logger.exception("A request on connection %s failed.", self.requester.connection_id)
            words = _("The server made a mistake with this request; its log has the details.")
            self._refuse_request(ProtocolError(ErrorCode.INTERNAL_ERROR, words), event)

    async def _admitted(self, frame: str | bytes) -> ClientEvent | None:
        """The request in `frame`. Raises `ProtocolError` when it is none, or one too many.

        None for an acknowledgement too many: it expects no answer, and the next one says what it said.
        """
        try:
            event = await parsed(frame)
        except ProtocolError:
            measures.FRAMES_RECEIVED.add(OTHER)
            self._count(len(frame))
            raise
        measures.FRAMES_RECEIVED.add(event.event)
        try:
            self._count(len(frame))
        except ProtocolError as error:
            if isinstance(event, UserAck):
                return None
            error.request, error.request_id = event.event, event.request_id
            error.session_id = getattr(event, "session_id", None)
            raise
        return event

    def _count(self, size: int) -> None:
        try:
            count_request(self.grant, size, self.engine.config)
        except RateExceeded as error:
            raise too_many_requests(error) from error

    def _is_open(self) -> bool:
        return self._pumping is not None and not self._revoked

    async def _handle(self, event: ClientEvent) -> None:
        async with self.requester.pump.requesting:
            await HANDLERS[type(event)](self.engine, self.requester, event)

    def _refuse_request(self, error: ProtocolError, event: ClientEvent | None) -> None:
        if event is not None:
            if not event.is_answered:
                return
            error.request, error.request_id = event.event, event.request_id
            error.session_id = getattr(event, "session_id", None)
        measures.REFUSALS.add(error.code)
        self.pump.direct(refusal_event(error), session_id=error.session_id, request_id=error.request_id)

    # --- Connection, for the engine ---

    @property
    def agents_in_use(self) -> set[str]:
        return {self.requester.agent, *self.pump.followed.values()}

    def regrant(self, grant: Grant) -> None:
        self.grant = grant
        self.requester = replace(self.requester, grant=grant)

    def heartbeat_is_due(self, now: float) -> bool:
        return now >= self._heartbeat_at

    def heartbeat(self, last_seqs: dict[uuid.UUID, int]) -> None:
        self._heartbeat_at = asyncio.get_running_loop().time() + self.engine.config.heartbeat_seconds
        followed = {str(key): last_seqs[key] for key in self.pump.followed if key in last_seqs}
        metadata = HeartbeatMetadata(server_time=timestamp(), sessions=followed)
        self.pump.heartbeat(encode(SystemHeartbeat(metadata=metadata)), last_seqs)

    async def revoke(self) -> None:
        # First of all: requests that have arrived and are not being handled yet are dropped.
        self._revoked = True
        self.engine.connections.discard(self)
        logger.warning("Closed the connection of %s: its credentials are no longer valid.", self.grant.username)
        await self.send({"type": "websocket.close", "code": CloseCode.UNAUTHENTICATED, "reason": "revoked"})
