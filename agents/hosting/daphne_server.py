"""The HTTP and WebSocket server: daphne with an ASGI lifespan, back-pressure both ways and a graceful shutdown.

Importing this installs Twisted's asyncio reactor, so only a process that serves may import it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO

import daphne.server
from twisted.internet import reactor

from agents.hosting.access_log import AccessLog
from agents.hosting.asgi_lifespan import Lifespan, StartupFailed
from agents.hosting.asgi_types import Application, AsgiMessage, Receive, Scope, Send
from agents.hosting.connection_host import HostingLimits
from agents.hosting.http import AgentHTTPFactory, AgentRequest
from agents.hosting.shared_port import SharedPort, SharedSockets
from agents.hosting.sockets import BACKLOG, bind, describe_start_error
from agents.hosting.stalled_loop import StalledLoop
from agents.hosting.stop_signals import StopSignals
from agents.hosting.twisted_errors import send_twisted_errors_to_logging
from agents.hosting.websocket import AgentWebSocket, AgentWebSocketFactory

logger = logging.getLogger("myagent.server")

GRACE_SECONDS = 5
"""Seconds that applications have to end when the server stops."""
GONE_SECONDS = 10
"""Seconds that an application has to end when its client is gone."""
CANCEL_SECONDS = 2
"""Seconds that the remaining tasks have to end when the process ends and they are cancelled."""
SERVER_NAME = "MyAgent"


_Connection = AgentWebSocket | AgentRequest


@dataclass(slots=True)
class _ApplicationInstance:
    """One call of the application, for one connection (ASGI's term)."""

    task: asyncio.Future[None] | None = None
    """None before it is started and once it has ended."""
    client_left_at: float | None = None
    was_cancelled: bool = False


class DaphneServer(daphne.server.Server):
    """Serves one ASGI application. `run()` blocks the main thread until a signal or `stop()`; it works once a process.

    Signals (`StopSignals`) shut it down gracefully: it accepts no new connections; the application's lifespan shutdown
    lets active work finish for up to `drain_seconds`, while open connections are still served; then every WebSocket is
    closed with 1012, and live answers are broken off. A second signal ends the process at once.
    """

    failure: str | None
    """Why the server could not start: the operating system's error, or what the application said."""

    def __init__(
        self,
        application: Application,
        *,
        host: str,
        port: int,
        config: HostingLimits,
        on_listening: Callable[[list[tuple[str, int]]], Awaitable[None]] | None = None,
        access_log: TextIO | None = None,
        shared: SharedSockets | None = None,
    ) -> None:
        """`on_listening` is called once, with all addresses, when connections are accepted; port 0 is a free one.
        `shared` are sockets on which other processes listen, too, used instead of `host` and `port`."""
        super().__init__(
            application,
            endpoints=[f"tcp:{port}"],  # not used, but daphne ends the process when there are none
            action_logger=AccessLog(access_log) if access_log else None,
            websocket_timeout=-1,
            application_close_timeout=GONE_SECONDS,
            server_name=SERVER_NAME,
        )
        self.failure = None
        self.is_closing = False
        self.limits = config
        self.loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop
        self.lifespan = Lifespan(application)
        self.connections: dict[_Connection, _ApplicationInstance] = {}
        self._address = host, port
        self._shared = shared
        self._on_listening = on_listening
        self._log_streams = [access_log] if access_log else []
        self._ports: list[Any] = []
        self._stopping = asyncio.Event()
        self._main_task: asyncio.Task[None] | None = None

    # --- running

    def run(self) -> None:
        """Serve until stopped. Afterwards `failure` says why it could not start, if so; raises unexpected errors."""
        asyncio.set_event_loop(self.loop)
        send_twisted_errors_to_logging()
        self.http_factory = AgentHTTPFactory(self)
        self.ws_factory = AgentWebSocketFactory(self)
        with StopSignals(self.stop, *self._log_streams):
            reactor.callWhenRunning(self._start)
            reactor.run(installSignalHandlers=False)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        if self._main_task is not None:
            self._main_task.result()

    def stop(self) -> None:
        """Shut down gracefully, as a first signal does. May be called from any thread, also before `run()`."""
        self.loop.call_soon_threadsafe(self._stopping.set)

    def _start(self) -> None:
        self._main_task = self.loop.create_task(self._main(), name="server")

    async def _main(self) -> None:
        try:
            with contextlib.ExitStack() as stack:
                # Bound before the application starts: with a taken port it must not take over the work of the server
                # that is running there.
                sockets = self._shared.sockets() if self._shared is not None else bind(*self._address)
                for sock in sockets:
                    stack.callback(sock.close)
                await self._serve(sockets)
        except (OSError, OverflowError, StartupFailed) as error:
            if self._ports:
                raise
            self.failure = describe_start_error(error, *self._address)
        finally:
            await _cancel_leftovers()
            reactor.stop()

    async def _serve(self, sockets: list[socket.socket]) -> None:
        if not await self._startup():
            return
        timeouts = self.loop.create_task(self._check_timeouts(), name="timeouts")
        try:
            await self._listen(sockets)
            await self._stopping.wait()
        finally:
            await self._shut_down()
            timeouts.cancel()

    async def _startup(self) -> bool:
        """Start the application; False when the server was stopped meanwhile. Raises `StartupFailed`."""
        starting = self.loop.create_task(self.lifespan.startup())
        stopping = self.loop.create_task(self._stopping.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if starting.done():
            starting.result()
            return True
        starting.cancel()
        await self.lifespan.abort(GRACE_SECONDS)
        return False

    async def _listen(self, sockets: list[socket.socket]) -> None:
        addresses = [sock.getsockname()[:2] for sock in sockets]
        for sock in sockets:
            sock.listen(BACKLOG)
        self._ports.append(StalledLoop(reactor, [] if self._shared else sockets, self.http_factory))
        for sock in sockets:
            if self._shared is not None:
                self._ports.append(SharedPort.on(reactor, sock, self.http_factory, self._shared))
            else:
                self._ports.append(reactor.adoptStreamPort(sock.fileno(), sock.family, self.http_factory))
            sock.close()  # Twisted has made a copy; a socket left open would keep listening
        for address in addresses:
            logger.info("Listening on %s, port %d.", *address)
        if self._on_listening:
            await self._on_listening(addresses)

    # --- stopping

    async def _shut_down(self) -> None:
        began = self.loop.time()
        logger.info("Stopping.")
        if self._shared is not None:
            self._shared.leave()
        await asyncio.gather(*(port.stopListening().asFuture(self.loop) for port in self._ports))
        await self.lifespan.shutdown(self.limits.drain_seconds + GRACE_SECONDS)
        self.is_closing = True
        for connection in list(self.connections):
            if isinstance(connection, AgentWebSocket) or connection.is_live:
                connection.restart()
        await self._applications_ended(AgentWebSocket, GRACE_SECONDS)
        rest = began + self.limits.drain_seconds + GRACE_SECONDS - self.loop.time()
        await self._applications_ended(AgentRequest, max(rest, 0))

    async def _applications_ended(self, kind: type[_Connection], seconds: float) -> None:
        """Wait for the applications of connections of one kind; those that need longer are cancelled by `_main`."""
        tasks = [it.task for connection, it in self.connections.items() if it.task and isinstance(connection, kind)]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            if late:
                logger.warning("%d connections were still being served after %g s; cancelling.", len(late), seconds)

    # --- connections

    def protocol_connected(self, protocol: _Connection) -> None:
        """An HTTP request or the handshake of a WebSocket has begun."""
        self.connections[protocol] = _ApplicationInstance()
        self._note_connections()

    def _note_connections(self) -> None:
        if self._shared is not None:
            self._shared.note(len(self.connections))

    def protocol_disconnected(self, protocol: _Connection) -> None:
        """The client is gone or has been served; its application should end. May be called more than once."""
        instance = self.connections.get(protocol)
        if instance is None:
            return
        if instance.task is None:
            del self.connections[protocol]
        elif instance.client_left_at is None:
            instance.client_left_at = self.loop.time()

    def create_application(self, protocol: _Connection, scope: Scope) -> Any:
        """Start the application for a connection; returns its queue of messages, or None when the client has left."""
        instance = self.connections.get(protocol)
        if instance is None:
            return None
        scope["asgi"] = {"version": "3.0", "spec_version": "2.4"}
        scope["state"] = self.lifespan.state.copy()
        queue: Any
        send: Send
        if isinstance(protocol, AgentWebSocket):
            scope.setdefault("scheme", "ws")
            queue, send = protocol.new_inbox(), protocol.send_asgi
        else:
            queue, send = asyncio.Queue(), partial(self.handle_reply, protocol)
        instance.task = self.loop.create_task(self._call_application(scope, queue.get, send))
        instance.task.add_done_callback(partial(self._application_ended, protocol, instance))
        return queue

    async def _call_application(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.application(scope, receive, send)

    def _application_ended(
        self, protocol: _Connection, instance: _ApplicationInstance, task: asyncio.Task[None]
    ) -> None:
        instance.task = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error and not task.cancelled():
            logger.error("Exception in the application, serving %r.", protocol.path, exc_info=error)
        if instance.client_left_at is not None:
            self.connections.pop(protocol, None)
        elif error:
            protocol.handle_exception(error)
        else:
            protocol.application_returned()

    async def handle_reply(self, protocol: AgentRequest, message: AsgiMessage) -> None:
        """ASGI's `send` for HTTP; does nothing when the client is gone."""
        instance = self.connections.get(protocol)
        if instance is not None and instance.client_left_at is None:
            self.check_headers_type(message)
            await protocol.reply(message, self.limits.stall_seconds)

    async def _check_timeouts(self) -> None:
        """Check the timeouts of all connections about once a second, until cancelled."""
        interval = min(1.0, self.limits.stall_seconds / 4)
        while True:
            await asyncio.sleep(interval)
            self._note_connections()
            for connection, instance in list(self.connections.items()):
                try:
                    connection.check_timeouts()
                except Exception:
                    logger.exception("Cannot check the timeouts of one connection.")
                self._cancel_if_abandoned(instance)

    def _cancel_if_abandoned(self, instance: _ApplicationInstance) -> None:
        if instance.task is None or instance.client_left_at is None or instance.was_cancelled:
            return
        if self.loop.time() - instance.client_left_at > self.application_close_timeout:
            instance.was_cancelled = True
            instance.task.cancel()
            seconds = self.application_close_timeout
            logger.warning("An application was still active %g s after its client had left; cancelled.", seconds)


async def _cancel_leftovers() -> None:
    """Cancel all other tasks of this loop and wait a moment for their end."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        _, stuck = await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
        for task in stuck:
            logger.error("%r did not end when it was cancelled.", task)
