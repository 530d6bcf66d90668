"""What a client and its server have told each other, over all connections. Needs no socket.

`tests/support/vectors/exchange.json` says what it does; the client in TypeScript has the same rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from myagent.client.cursors import Cursors
from myagent.client.errors import ConnectionLost
from myagent.client.frames import ServerFrame
from myagent.client.outbox import Outbox, Outgoing, outgoing, shows_arrival
from myagent.protocol.error_codes import CloseCode, ErrorCode

FOLLOWED_ONLY = ("user.message", "user.response", "user.cancel")


class Exchange:
    """Decides what is sent on a connection and which frames are news, so that nothing is lost or shown twice.

    Connections are counted from 1.
    """

    def __init__(self) -> None:
        self._cursors = Cursors()
        self._outbox = Outbox()
        self._own: set[str] = set()
        """The ids of own messages, and of the steps of own answers."""
        self._acknowledged: dict[str, int] = {}

    @property
    def cursors(self) -> dict[str, int]:
        """The `seq` of the last event that was received, for each session."""
        return self._cursors.positions()

    def follow(self, session_id: str, last_seq: int) -> asyncio.Future[ServerFrame]:
        """Follow a session from behind an event; the future gets the notice that ends the replay, or a refusal."""
        if session_id in self._cursors:
            raise ValueError(f"{session_id!r} is followed already")
        self._acknowledged[session_id] = last_seq
        return self._cursors.add(session_id, last_seq)

    def put(
        self,
        event: Mapping[str, Any],
        settles: Callable[[ServerFrame], bool] | None = None,
        reply: asyncio.Future[ServerFrame] | None = None,
        *,
        max_bytes: int | None = None,
    ) -> Outgoing:
        """Have an event sent, on each connection, until something shows that it arrived."""
        session_id = event.get("session_id")
        if event.get("event") in FOLLOWED_ONLY and session_id not in self._cursors:
            raise ValueError(f"{session_id!r} is not followed: create it with this client, or resume it first")
        if reply is None:
            settles = settles or shows_arrival(event)
        item = outgoing(event, settles, reply, max_bytes=max_bytes)
        self._own.add(item.own_id)
        self._outbox.put(item)
        return item

    def drop(self, item: Outgoing) -> None:
        """Send it no more."""
        self._outbox.drop(item)

    def disown(self, item: Outgoing) -> None:
        """It was not taken, so what bears its id is not its own."""
        self._own.discard(item.own_id)

    def unsent(self, connection: int) -> Iterator[Mapping[str, Any]]:
        """Everything that this connection has to be sent and was not yet; each is taken as sent."""
        # A session must be followed from its cursor before anything else on the connection names it.
        yield from self._cursors.unsent(connection)
        yield from self._outbox.unsent(connection)

    def take(self, frame: ServerFrame, connection: int) -> bool:
        """Whether a frame of the server is news.

        Raises `ConnectionLost` when the connection has to be done again, after a pause.
        """
        is_own = self._is_own(frame)
        is_news = self._cursors.take(frame, connection)
        settled = self._outbox.take(frame)
        if self._cursors.lags(frame.session_id, connection):
            raise ConnectionLost(CloseCode.RESTARTING, ErrorCode.TRY_AGAIN)
        return is_news and not is_own and not (frame.is_refusal and any(item.is_repeated for item in settled))

    def acknowledgements(self, read: Mapping[str, int]) -> Iterator[Mapping[str, Any]]:
        """What the server may be told of how far each session was read; each is taken as sent."""
        for session_id, seq in read.items():
            if self._acknowledged.get(session_id, 0) < seq:
                self._acknowledged[session_id] = seq
                yield {"event": "user.ack", "session_id": session_id, "last_seq": seq}

    def give_up_largest(self, connection: int) -> None:
        """Something that was sent on this connection was too large for the server: send it no more."""
        self._outbox.give_up_largest(connection)

    def _is_own(self, frame: ServerFrame) -> bool:
        if frame.event == "user.message":
            return frame.metadata.get("message_id") in self._own
        # A live answer is somebody else's, who was quicker.
        is_old = frame.event == "user.response" and self._cursors.is_replaying(frame.session_id)
        return is_old and frame.step_id in self._own
