"""What entries add to the audit log, which is Django's own."""

from __future__ import annotations

from django.contrib.admin.models import LogEntry

from agents.audit import log_columns
from myagent.i18n import gettext as _
from sessions_app.journal.batch import Batch
from sessions_app.journal.locked_rows import LockedRun
from sessions_app.models import Confirmation, Run


def log_cancel(batch: Batch, run: LockedRun, by: int | None, reason: str) -> None:
    """Log who cancelled a run; anonymous users are not logged."""
    if by is not None:
        message = _("Cancelled (%(reason)s).") % {"reason": reason}
        columns = log_columns(Run, run.id, str(run.id), user_id=by, message=message)
        batch.writes.insert(LogEntry, **columns)


def log_answer(batch: Batch, confirmation: Confirmation, by: int | None, *, confirmed: bool) -> None:
    """Log who answered a confirmation; anonymous users are not logged."""
    if by is not None:
        message = _("Answered with yes.") if confirmed else _("Answered with no.")
        # By its id, because the question is part of the conversation.
        columns = log_columns(Confirmation, confirmation.pk, confirmation.pk, user_id=by, message=message)
        batch.writes.insert(LogEntry, **columns)
