"""Answers `/healthz` while the loop of the server does not turn, from a thread: nobody else can say so."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, succeed

logger = logging.getLogger("myagent.server")

STALLED_SECONDS = 3.0
"""A loop that has not turned for so long is stalled."""
BEAT_SECONDS = 0.5
READ_SECONDS = 1.0
"""Seconds that a client has to send the first line of its request."""
HEALTH_PATH = b"/healthz"
_BODY = b'{"status": "error", "loop": "stalled"}'
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class StalledLoop:
    """Takes connections while the loop is stalled, answers those that ask for the health, and hands the others on to
    the loop, which serves them once it turns; nothing of them has been read then.
    """

    def __init__(self, reactor: Any, listening: Sequence[socket.socket], factory: Any) -> None:
        """Of the sockets that are `listening` this keeps copies; `factory` serves a connection.

        Without any it only tells the log: those who share the sockets take the connections.
        """
        self._loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop
        self._reactor = reactor
        self._factory = factory
        self._listening = [sock.dup() for sock in listening]
        self._turned_at = time.monotonic()
        self._stopping = threading.Event()
        self._beat()
        threading.Thread(target=self._watch, name="stalled-loop", daemon=True).start()

    def stopListening(self) -> Deferred[None]:
        """As the ports do that it stands beside: they listen until the last copy of a socket is closed."""
        self._stopping.set()
        for sock in self._listening:
            sock.close()
        return succeed(None)

    def _beat(self) -> None:
        self._turned_at = time.monotonic()
        if not self._stopping.is_set():
            self._loop.call_later(BEAT_SECONDS, self._beat)

    def _hand_on(self, client: socket.socket) -> None:
        with client:  # the reactor has a copy
            self._reactor.adoptStreamConnection(client.fileno(), client.family, self._factory)

    # --- in the thread ---

    @property
    def _is_stalled(self) -> bool:
        return time.monotonic() - self._turned_at > STALLED_SECONDS

    def _watch(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            if self._is_stalled:
                logger.error("❌ The server's loop has not turned for %g s. It is in:\n%s", STALLED_SECONDS, _place())
                self._serve()

    def _serve(self) -> None:
        """Until the loop turns again."""
        while self._is_stalled and not self._stopping.is_set():
            with suppress(OSError, ValueError):  # the sockets were closed
                for sock in select.select(self._listening, [], [], BEAT_SECONDS)[0]:
                    with suppress(BlockingIOError):  # taken by the loop
                        self._take(sock.accept()[0])

    def _take(self, client: socket.socket) -> None:
        if _asks_for_health(client):
            with client, suppress(OSError):
                client.recv(65536)  # what is left unread would cut the answer
                client.sendall(_ANSWER)
        else:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._hand_on, client)


def _asks_for_health(client: socket.socket) -> bool:
    """Whether the request that arrives is for the health; it is left unread."""
    client.settimeout(READ_SECONDS)
    try:
        line = client.recv(1024, socket.MSG_PEEK).partition(b"\r\n")[0]
    except OSError:
        return False
    return line.split(b"?")[0].split(b" ")[1:2] == [HEALTH_PATH]


def _place() -> str:
    """Where the loop's thread is."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    return "".join(traceback.format_stack(frame)[-3:]).rstrip()
