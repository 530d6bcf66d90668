"""What a client has told a server and does not know yet that it arrived. Needs no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from myagent.client.frames import ServerFrame


@dataclass(slots=True, eq=False, kw_only=True)
class Outgoing:
    """One frame to send, over as many connections as it takes until a frame of the server settles it.

    `reply` is given the frame that settles it; without one nobody waits for it.
    """

    frame: dict[str, Any]
    settled_by: Callable[[ServerFrame], bool]
    reply: asyncio.Future[ServerFrame] | None = None
    attempts: int = 0
    sent_on: int = 0
    """The number of the connection on which it was sent last, from 1."""

    @property
    def is_repeated(self) -> bool:
        """Whether nobody waits for it and it was sent before, so that a refusal says no more than that it arrived."""
        return self.reply is None and self.attempts > 1


class Outbox:
    """Keeps what was sent, in order, until it is settled."""

    def __init__(self) -> None:
        self._items: list[Outgoing] = []

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody cannot go on before the server has replied."""
        return any(item.reply is not None for item in self._items)

    def put(self, item: Outgoing) -> None:
        """Have something sent."""
        self._items.append(item)

    def drop(self, item: Outgoing) -> None:
        """Send it no more."""
        if item in self._items:
            self._items.remove(item)

    def drop_events(self, event: str, session_id: str) -> None:
        """Send no more of these events of a session."""
        self._items = [
            item for item in self._items if (item.frame["event"], item.frame.get("session_id")) != (event, session_id)
        ]

    def unsent(self, connection: int) -> Iterator[dict[str, Any]]:
        """What was not sent on this connection yet, oldest first; each is taken as sent when it is handed out."""
        for item in list(self._items):
            if item in self._items and item.sent_on != connection:
                item.sent_on = connection
                item.attempts += 1
                yield item.frame

    def take(self, frame: ServerFrame) -> list[Outgoing]:
        """Let go of what this frame settles, and return it."""
        settled = [item for item in self._items if item.settled_by(frame)]
        for item in settled:
            self._items.remove(item)
            if item.reply is not None and not item.reply.done():
                item.reply.set_result(frame)
        return settled

    def fail(self, error: Exception) -> None:
        """Tell all who wait that there will be no reply."""
        for item in self._items:
            if item.reply is not None and not item.reply.done():
                item.reply.set_exception(error)
        self._items.clear()
