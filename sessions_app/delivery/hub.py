"""Publish and subscribe within one process: which connections follow which session, and that its log grew."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from myagent.protocol.server_base import ServerEvent
from sessions_app.journal.log import Growth
from sessions_app.run_queue import Place


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

    def say(self, make: Callable[[], ServerEvent], session_id: str | None = None) -> None:
        """Send an event that is not logged, made in the language of the connection."""
        ...

    def tell_place(self, session_id: uuid.UUID, place: Place | None) -> None:
        """Where the session's next run stands in the queue; None when it does not wait for a place any more."""
        ...

    @property
    def followed(self) -> Mapping[uuid.UUID, str]:
        """The sessions that it may be told of, with their agents."""
        ...


class Hub:
    """Lives on the event loop; all methods are called there."""

    def __init__(self) -> None:
        # Tuples, because most sessions have one subscriber, and a set of one takes five times as much.
        self._subscribers: dict[uuid.UUID, tuple[Subscriber, ...]] = {}
        self._seen: dict[uuid.UUID, int] = {}
        self._queued: set[uuid.UUID] = set()

    def attach(self, session_id: uuid.UUID, subscriber: Subscriber) -> None:
        """Notify `subscriber` of this session from now on. It should read the log after this, not before."""
        subscribers = self._subscribers.get(session_id, ())
        if subscriber not in subscribers:
            self._subscribers[session_id] = (*subscribers, subscriber)

    def detach(self, session_id: uuid.UUID, subscriber: Subscriber) -> None:
        if (subscribers := self._subscribers.get(session_id)) is None:
            return
        if rest := tuple(other for other in subscribers if other is not subscriber):
            self._subscribers[session_id] = rest
        else:
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
                for subscriber in subscribers:
                    subscriber.offer(growth)

    def tell(self, session_id: uuid.UUID, make: Callable[[], ServerEvent]) -> None:
        """Send an event that is not logged to those who follow the session here, made for each in its language."""
        for subscriber in self._subscribers.get(session_id, ()):
            if session_id in subscriber.followed:
                subscriber.say(make, str(session_id))

    @property
    def ends(self) -> Mapping[uuid.UUID, int]:
        """The ends of the followed logs that are known."""
        return dict(self._seen)

    def tell_places(self, places: Mapping[uuid.UUID, Place], ends: Mapping[uuid.UUID, int]) -> None:
        """Tell those who follow these sessions here where their runs stand in the queue: all that wait in it.

        `ends` are from before this was read: where the log has grown since, the run may have started.
        """
        before, self._queued = self._queued, set(places)
        for session_id in before | self._queued:
            if self._seen.get(session_id) != ends.get(session_id):
                continue
            for subscriber in self._subscribers.get(session_id, ()):
                subscriber.tell_place(session_id, places.get(session_id))

    def grown_elsewhere(self, last_seqs: dict[uuid.UUID, int]) -> None:
        """Another process announced, or a query found, these ends of logs."""
        for session_id, last_seq in last_seqs.items():
            subscribers = self._subscribers.get(session_id)
            if subscribers and last_seq > self._seen.get(session_id, 0):
                self._seen[session_id] = last_seq
                for subscriber in subscribers:
                    subscriber.lag_behind(session_id)

    @property
    def known(self) -> Iterable[uuid.UUID]:
        """Those of the followed sessions that have been in the database; the others may be about to be created."""
        return list(self._seen)

    def deleted(self, session_ids: Iterable[uuid.UUID]) -> None:
        """These sessions were deleted."""
        for session_id in session_ids:
            for subscriber in self._subscribers.get(session_id, ()):
                subscriber.session_deleted(session_id)
