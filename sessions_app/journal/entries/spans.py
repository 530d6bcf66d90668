"""The spans of a traced run."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sessions_app.journal.batch import Batch
from sessions_app.journal.entry import RunEntry
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.models import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSpan(RunEntry):
    """A call of the model or of a tool begins. Stored before it ends, so that one that a crash breaks off is seen."""

    may_wait: ClassVar[bool] = True

    span_id: uuid.UUID
    columns: Mapping[str, Any]

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        batch.writes.insert(Span, id=self.span_id, run_id=run.id, epoch=run.epoch, **self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSpan(RunEntry):
    """A call ended."""

    may_wait: ClassVar[bool] = True

    span_id: uuid.UUID
    columns: Mapping[str, Any]

    def write(self, batch: Batch, session: LockedSession, run: LockedRun) -> None:
        batch.writes.change(Span, self.span_id, **self.columns)
