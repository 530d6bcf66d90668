"""What users think of answers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from agents.budgets.shares import Shares
from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.server_events import FeedbackGiven
from sessions_app.journal.batch import Batch
from sessions_app.journal.entry import Entry
from sessions_app.journal.refusal import Refused
from sessions_app.models import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRun(Entry):
    """Rate a run that has ended, or take its rating back with None. Refused with `run_not_found`, `over_quota`."""

    rated_run: uuid.UUID
    rating: str | None
    comment: str = ""
    shares: Shares | None = None

    def apply(self, batch: Batch) -> None:
        session = batch.locks.session(self.session_id)
        batch.writes.flush()
        ended = Run.objects.filter(pk=self.rated_run, session_id=session.id, finished_at__isnull=False)
        if not ended.exists():
            raise Refused(ErrorCode.RUN_NOT_FOUND)
        if self.shares is not None:
            batch.shares.check_room(session, self.shares)
        is_rated = self.rating is not None
        batch.writes.change(
            Run,
            self.rated_run,
            rating=self.rating,
            comment=self.comment if is_rated else None,
            rated_at=batch.now if is_rated else None,
        )
        comment = self.comment if is_rated else ""
        said = {"run_id": str(self.rated_run), "rating": self.rating, "comment": comment}
        batch.log.append(session, FeedbackGiven(content=said))
