"""What runs ask their users, as the database has it. Everything here blocks, and is called in a thread."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from sessions_app.models import Confirmation, Run


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """What a run asked its user. `answer` is None as long as nobody has answered."""

    step_id: str
    run_id: uuid.UUID
    answer: dict[str, Any] | None
    is_open: bool


def questions_of(session_id: uuid.UUID, step_ids: Collection[str]) -> dict[str, AskedQuestion]:
    """Those of a session that have these ids."""
    rows = Confirmation.objects.filter(run__session_id=session_id, step_id__in=step_ids)
    columns = ("step_id", "run_id", "answer", "expires_at", "run__finished_at")
    now = timezone.now()
    return {
        step_id: AskedQuestion(step_id, run_id, answer, answer is None and expires_at > now and finished_at is None)
        for step_id, run_id, answer, expires_at, finished_at in rows.values_list(*columns)
    }


def has_open_question(session_id: uuid.UUID) -> bool:
    """Whether a run of the session waits for an answer."""
    asking = Confirmation.objects.filter(run__session_id=session_id, run__status=Run.Status.WAITING)
    return asking.filter(answer__isnull=True, expires_at__gt=timezone.now(), run__finished_at=None).exists()
