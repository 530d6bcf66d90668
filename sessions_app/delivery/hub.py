"""Publish and subscribe within one process: which connections follow which session, and that its log grew."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol

from myagent.protocol.server_base import ServerEvent
from sessions_app.journal.log import Growth


class Subscriber(Protocol):
    """Follows session logs: the pump of a connection."""

    def offer(self, growth: Growth) -> None:
        """This process committed events. Must return at once and must not raise."""
        ...

    def lag_behind(self, session_id: uuid.UUID) -> None:
        """The log grew by events that this process does not have: they have to be read."""
        ...

    def session_deleted(self, session_id: uuid.UUID) -> None:
        """The session was deleted."""
        ...

    def direct(self, event: ServerEvent, *, session_id: str | None = None) -> None:
        """Send an event that is not logged."""
        ...

    @property
    def followed(self) -> Mapping[uuid.UUID, str]:
        """The sessions that it may be told of, with their agents."""
        ...


class Hub:
    """Lives on the event loop; all methods are called there."""

    def __init__(self) -> None:
        self._subscribers: dict[uuid.UUID, set[Subscriber]] = defaultdict(set)
        self._seen: dict[uuid.UUID, int] = {}

    def attach(self, session_id: uuid.UUID, subscriber: Subscriber) -> None:
        """Notify `subscriber` of this session from now on. It should read the log after this, not before."""
        self._subscribers[session_id].add(subscriber)

    def detach(self, session_id: uuid.UUID, subscriber: Subscriber) -> None:
        subscribers = self._subscribers.get(session_id)
        if subscribers is not None:
            subscribers.discard(subscriber)
            if not subscribers:
                del self._subscribers[session_id]
                self._seen.pop(session_id, None)

    @property
    def attached(self) -> Iterable[uuid.UUID]:
        """The sessions that a connection here follows."""
        return list(self._subscribers)

    def grown(self, growths: Iterable[Growth]) -> None:
        """This process committed these events."""
        for growth in growths:
            subscribers = self._subscribers.get(growth.session_id)
            if subscribers:
                seen = self._seen.get(growth.session_id, 0)
                self._seen[growth.session_id] = max(seen, growth.events[-1].seq)
                for subscriber in tuple(subscribers):
                    subscriber.offer(growth)

    def tell(self, session_id: uuid.UUID, event: ServerEvent) -> None:
        """Send an event that is not logged to those who follow the session here."""
        for subscriber in tuple(self._subscribers.get(session_id, ())):
            if session_id in subscriber.followed:
                subscriber.direct(event, session_id=str(session_id))

    def grown_elsewhere(self, last_seqs: dict[uuid.UUID, int]) -> None:
        """Another process announced, or a query found, these ends of logs."""
        for session_id, last_seq in last_seqs.items():
            subscribers = self._subscribers.get(session_id)
            if subscribers and last_seq > self._seen.get(session_id, 0):
                self._seen[session_id] = last_seq
                for subscriber in tuple(subscribers):
                    subscriber.lag_behind(session_id)

    @property
    def known(self) -> Iterable[uuid.UUID]:
        """Those of the followed sessions that have been in the database; the others may be about to be created."""
        return list(self._seen)

    def deleted(self, session_ids: Iterable[uuid.UUID]) -> None:
        """These sessions were deleted."""
        for session_id in session_ids:
            for subscriber in tuple(self._subscribers.get(session_id, ())):
                subscriber.session_deleted(session_id)
