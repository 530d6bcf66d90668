"""What the entries of people leave in Django's own log of who did what."""

from __future__ import annotations

from django.contrib.admin.models import LogEntry

from agents.audit import log_columns
from myagent.i18n import gettext as _
from sessions_app.journal.batch import Batch, LockedRun
from sessions_app.models import Confirmation, Run


def note_cancel(batch: Batch, run: LockedRun, by: int | None, reason: str) -> None:
    """Note who cancelled a run; somebody without a name leaves nothing."""
    if by is not None:
        message = _("Cancelled (%(reason)s).") % {"reason": reason}
        columns = log_columns(Run, run.id, str(run.id), user_id=by, message=message)
        batch.insert(LogEntry, **columns)


def note_answer(batch: Batch, confirmation: Confirmation, by: int | None, *, confirmed: bool) -> None:
    """Note who answered a confirmation; somebody without a name leaves nothing."""
    if by is not None:
        message = _("Answered with yes.") if confirmed else _("Answered with no.")
        # By its id, as what was asked is for those who may see the conversation.
        columns = log_columns(Confirmation, confirmation.pk, confirmation.pk, user_id=by, message=message)
        batch.insert(LogEntry, **columns)
