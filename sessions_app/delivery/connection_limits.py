"""What one connection may use of the server."""

from __future__ import annotations

from typing import Protocol


class ConnectionLimits(Protocol):
    """What one connection may use; `agents.conf.Config` satisfies it."""

    @property
    def max_attached(self) -> int:
        """Sessions that it may be attached to at once."""

    @property
    def outbound_frames(self) -> int:
        """Unsent frames after which no live event is queued for it, and none of its requests is handled."""

    @property
    def outbound_characters(self) -> int:
        """Characters of unsent frames, likewise."""
