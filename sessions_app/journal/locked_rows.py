"""The columns of locked rows that entries read."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from agents.budgets.shares import Sharer
from sessions_app.models import Run


@dataclass(slots=True)
class LockedSession:
    """The columns of a locked session that entries read."""

    id: uuid.UUID
    agent: str
    user_id: int | None
    title: str
    status: str
    last_seq: int
    last_position: int
    visitor: str | None = None
    stored_bytes: int | None = None

    @property
    def sharer(self) -> Sharer:
        """Whose share it is part of."""
        return Sharer(self.user_id, self.visitor)

    def grow(self, size: int) -> int | None:
        """Count so many bytes more, or less; returns the sum, None while it was never counted."""
        if self.stored_bytes is not None:
            self.stored_bytes += size
        return self.stored_bytes


@dataclass(slots=True)
class LockedRun:
    """The columns of a locked run that entries read."""

    id: uuid.UUID
    session_id: uuid.UUID
    status: str
    owner: str
    epoch: int
    attempts: int
    queued_at: datetime
    steers: bool = False
    """While it is queued: its message is for the run before it, if that asks in time."""
    steps: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    llm_calls: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nanos: int = 0
    priced_tokens: int = 0
    currency: str = ""
    model: str = ""
    """The model that its newest step asked, where models have prices."""

    @property
    def is_active(self) -> bool:
        return self.status in Run.ACTIVE
