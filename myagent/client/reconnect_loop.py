"""The loop that keeps a client connected: it waits, connects, sends and receives."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from myagent.client.connection import SingleConnection, open_connection
from myagent.client.errors import ClientError, ConnectionLost, HandshakeRefused
from myagent.client.frames import ServerFrame
from myagent.protocol.error_codes import CloseCode

ACK_SECONDS = 1.0
SETTLED_SECONDS = 3.0
"""A connection that lived so long was a success: the next pause is a short one again."""
LIMIT_SECONDS = 2.0
"""The shortest pause before a server is asked again that has as many connections as it takes."""

FIRST_SECONDS = 0.25
MOST_SECONDS = 15.0


@dataclass(slots=True)
class Backoff:
    """Pauses that double from attempt to attempt, each cut by up to half so that clients do not come all at once."""

    first: float = FIRST_SECONDS
    most: float = MOST_SECONDS
    spread: Callable[[], float] = random.random
    """A number from 0 to 1."""
    _next: float = 0.0

    def pause(self, lost: OSError | ClientError, lived: float = 0.0) -> float:
        """Seconds until the next attempt, after a connection that lived so many seconds; 0 if none came about."""
        if lived >= SETTLED_SECONDS:
            self._next = 0.0  # it was a success
        seconds = max(self._next or self.first, LIMIT_SECONDS if _is_full(lost) else 0.0)
        self._next = min(seconds * 2, self.most)
        return seconds * (1 - self.spread() / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """News of the connection: it is there, or `error` says why it is not and `retry_in` after how many seconds more."""

    error: OSError | ClientError | None = None
    retry_in: float = 0.0


class Mail(Protocol):
    """What goes over the line."""

    def unsent(self, connection: int) -> Iterator[Mapping[str, Any]]:
        """Everything that this connection, counted from 1, has to be sent; each is taken as sent."""

    def acknowledgements(self) -> Iterator[Mapping[str, Any]]:
        """What the server may be told now and then; each is taken as sent."""

    def take(self, frame: ServerFrame, connection: int) -> Awaitable[None]:
        """Take a frame, and return when there is room for more."""

    def give_up_largest(self, connection: int) -> None:
        """Something that was sent on this connection was too large for the server: send it no more."""


class ReconnectLoop:
    """One connection after the other, to one server."""

    def __init__(
        self, url: str, *, token: str | None, mail: Mail, on_link: Callable[[Link], None], give_up_after: float | None
    ) -> None:
        self.connection: SingleConnection
        """The newest one, there from the first `Link` without an error."""
        self._url, self._token = url, token
        self._mail = mail
        self._on_link = on_link
        self._patience = float("inf") if give_up_after is None else give_up_after
        self._is_up = False
        self._number = 0
        self._sending = asyncio.Lock()

    async def keep(self) -> NoReturn:
        """Connect, and again whenever the connection is lost. Raises why when that is of no use any more."""
        clock, backoff = asyncio.get_running_loop().time, Backoff()
        lost_at = clock()
        while True:
            began, lived, number = clock(), 0.0, self._number
            try:
                async with open_connection(self._url, self._token) as connection:
                    await self._converse(connection)
            except (OSError, ClientError) as error:
                lost = error
            if self._number > number:
                lost_at = clock()
                if isinstance(lost, ConnectionLost) and lost.is_too_large:
                    self._mail.give_up_largest(self._number)
                lived = lost_at - began
            pause = backoff.pause(lost, lived)
            if self._is_hopeless(lost) or clock() + pause - lost_at > self._patience:
                raise lost
            self._on_link(Link(error=lost, retry_in=pause))
            await asyncio.sleep(pause)

    def _is_hopeless(self, error: OSError | ClientError) -> bool:
        if isinstance(error, OSError) or (isinstance(error, HandshakeRefused) and error.status is None):
            # What was there once is coming back; what never was is somewhere else.
            return self._number == 0
        return isinstance(error, (ConnectionLost, HandshakeRefused)) and error.is_final

    async def _converse(self, connection: SingleConnection) -> NoReturn:
        self._number += 1
        self.connection, self._is_up = connection, True
        self._on_link(Link())
        tasks = [asyncio.create_task(self.flush()), asyncio.create_task(self._acknowledge_regularly())]
        try:
            while True:
                await self._mail.take(await connection.receive(), self._number)
        finally:
            self._is_up = False
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result

    async def flush(self) -> None:
        """Send what is to be sent, if there is a connection; without one it goes over the next."""
        await self._send(lambda: self._mail.unsent(self._number))

    async def acknowledge(self) -> None:
        """Send the acknowledgements that are due."""
        await self._send(self._mail.acknowledgements)

    async def _acknowledge_regularly(self) -> None:
        while True:
            await asyncio.sleep(ACK_SECONDS)
            await self.acknowledge()

    async def _send(self, frames: Callable[[], Iterator[Mapping[str, Any]]]) -> None:
        # One at a time: a session must be followed from its cursor before anything else on the connection names it.
        async with self._sending:
            if not self._is_up:
                return
            connection = self.connection
            try:
                for frame in frames():
                    await connection.send(frame)
            except ConnectionLost:
                return  # whoever reads has noticed, too, and all goes again over the next connection


def _is_full(error: OSError | ClientError) -> bool:
    return isinstance(error, ConnectionLost) and error.close_code == CloseCode.OVER_LIMIT
