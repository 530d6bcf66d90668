"""Detects WebSocket clients that have vanished without closing their connection."""

from __future__ import annotations

from enum import Enum, auto


class KeepaliveAction(Enum):
    """What the silence of a client calls for."""

    NONE = auto()
    PING = auto()
    DROP = auto()


class Keepalive:
    """The time since a client was last heard; asks for one ping in each silence, and then for the end.

    Any bytes count as a sign of life, not only pongs.
    """

    __slots__ = ("_heard_at", "_was_pinged")

    def __init__(self, now: float) -> None:
        self._heard_at = now
        self._was_pinged = False

    def heard(self, now: float) -> None:
        """Restart the measurement."""
        self._heard_at = now
        self._was_pinged = False

    def silence(self, now: float) -> float:
        """Seconds since the client was heard."""
        return now - self._heard_at

    def check(self, now: float, *, interval: float, timeout: float) -> KeepaliveAction:
        """What to do now; a client is pinged after `interval` seconds and dropped `timeout` seconds later."""
        silence = self.silence(now)
        if silence > interval + timeout:
            return KeepaliveAction.DROP
        if silence > interval and not self._was_pinged:
            self._was_pinged = True
            return KeepaliveAction.PING
        return KeepaliveAction.NONE
