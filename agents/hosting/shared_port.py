"""A port on which other processes accept, too."""

from __future__ import annotations

import socket
from typing import Any, Protocol

from twisted.internet import tcp

PAUSE_SECONDS = 0.01
"""How long others are let go first. If they do not take the connection in this time, they are busy."""


class SharedSockets(Protocol):
    """Sockets on which several processes accept."""

    def sockets(self) -> list[socket.socket]:
        """They listen already; called once."""
        ...

    def note(self, count: int) -> None:
        """This process has so many connections."""
        ...

    def others_have_fewer(self) -> bool:
        """Whether another process has fewer, and should take the next one."""
        ...

    def leave(self) -> None:
        """This process accepts none any more."""
        ...


class SharedPort(tcp.Port):
    """Accepts one connection at a time, and after others when it has more than they have."""

    _shared: SharedSockets

    @classmethod
    def on(cls, reactor: Any, sock: socket.socket, factory: Any, shared: SharedSockets) -> SharedPort:
        """Listen on a copy of `sock`, one of those that are `shared`."""
        port: SharedPort = cls._fromListeningDescriptor(reactor, sock.fileno(), sock.family, factory)
        port._shared = shared
        port.startListening()
        return port

    def doRead(self) -> None:
        if self._shared.others_have_fewer():
            self.stopReading()
            self.reactor.callLater(PAUSE_SECONDS, self._take_what_is_left)
        else:
            self._take_one()

    def _take_what_is_left(self) -> None:
        if self.connected and not self.disconnecting:
            self._take_one()
            self.startReading()

    def _take_one(self) -> None:
        self.numberAccepts = 1
        super().doRead()
