"""A write that changes nothing for anybody, to find out whether commits succeed."""

from __future__ import annotations

from dataclasses import dataclass

from agents.models import ServerMark
from sessions_app.journal.batch import Batch
from sessions_app.journal.entry import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(Entry):
    """Store the time in the servers' own row. `session_id` is not used."""

    def apply(self, batch: Batch) -> None:
        ServerMark.objects.filter(pk=ServerMark.ONLY).update(stored_at=batch.now)
