"""Runs that a client names by their id, or by what it has said. Everything here blocks, and is called in a thread."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import orjson
from django.utils import timezone

from sessions_app.models import Confirmation, Event, Message, Run
from sessions_app.models.session import usable_by

_FRAMES_AT_A_TIME = 20


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What must be known of a run to tell where it stands."""

    id: uuid.UUID
    session_id: uuid.UUID
    agent: str
    queued_at: datetime
    changed_at: datetime
    """When it began, or asked, or ended."""
    is_over: bool


def run_facts(run_id: uuid.UUID, user_id: int | None) -> RunFacts | None:
    """A run in a session of this user or in an anonymous one; None for one that there is not, or of another user."""
    rows = Run.objects.filter(usable_by(user_id, "session__"), pk=run_id)
    columns = ("id", "session_id", "session__agent", "queued_at", "started_at", "finished_at")
    row = rows.values_list(*columns).first()
    if row is None:
        return None
    pk, session_id, agent, queued_at, started_at, finished_at = row
    asked_at = None
    if finished_at is None:
        asked = Confirmation.objects.filter(run_id=pk).order_by("-asked_at")
        asked_at = asked.values_list("asked_at", flat=True).first()
    moments = (queued_at, started_at, asked_at, finished_at)
    changed_at = max(moment for moment in moments if moment is not None)
    return RunFacts(pk, session_id, agent, queued_at, changed_at, is_over=finished_at is not None)


def open_questions(run_id: uuid.UUID) -> list[str]:
    """The ids of what a run asks at the moment."""
    rows = Confirmation.objects.filter(run_id=run_id, answer__isnull=True, expires_at__gt=timezone.now())
    return list(rows.filter(run__finished_at=None).order_by("asked_at", "step_id").values_list("step_id", flat=True))


def newest_frames(session_id: uuid.UUID, run_id: uuid.UUID, names: Collection[str], most: int) -> list[str]:
    """Up to so many of the newest events of a run that have one of these names, in order."""
    rows = Event.objects.filter(session_id=session_id, name__in=names).order_by("-seq")
    wanted = str(run_id)
    frames = rows.values_list("frame", flat=True).iterator(chunk_size=_FRAMES_AT_A_TIME)
    of_run = (frame for frame in frames if orjson.loads(frame)["metadata"].get("run_id") == wanted)
    return list(islice(of_run, most))[::-1]


@dataclass(frozen=True, slots=True)
class Said:
    """A message that a run answers which has not ended."""

    message_id: str
    session_id: uuid.UUID


def said_before(prefix: str, agent: str, user_id: int | None, session_id: uuid.UUID | None) -> Said | None:
    """The newest message whose id begins so, of an unfinished run: in this session, else in one of this user."""
    unfinished = Run.objects.unfinished().filter(session__agent=agent)
    mine = unfinished.filter(session__user=user_id) if session_id is None else unfinished.filter(session=session_id)
    said = Message.objects.filter(run__in=mine, role=Message.Role.USER, client_id__startswith=prefix)
    row = said.order_by("-pk").values_list("client_id", "session_id").first()
    return Said(row[0] or "", row[1]) if row is not None else None
