"""What tracing keeps of a run."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sessions_app.journal.batch import Batch, LockedRun, LockedSession
from sessions_app.journal.entry import RunEntry
from sessions_app.models import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSpan(RunEntry):
    """A call of the model or of a tool begins; on record before its end, so that what a crash breaks off is seen."""

    only_deltas: ClassVar[bool] = True  # nobody waits for it

    span_id: uuid.UUID
    columns: Mapping[str, Any]

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        batch.insert(Span, id=self.span_id, run_id=run.id, epoch=run.epoch, **self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSpan(RunEntry):
    """How it went."""

    only_deltas: ClassVar[bool] = True

    span_id: uuid.UUID
    columns: Mapping[str, Any]

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        batch.change(Span, self.span_id, **self.columns)
