"""All reading of conversations, except by entries, lists and the admin. Blocking: called in a database thread."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import BigIntegerField, Count, Exists, Max, OuterRef, Q, Sum
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from agents.budgets.shares import Held
from myagent.messages import Message as LibraryMessage
from sessions_app.models import Confirmation, DeletedThread, Event, Message, Run, Session, Summary
from sessions_app.models.deleted_thread import REMEMBERED
from sessions_app.models.session import usable_by

# SQLite takes 32,766 parameters in a statement, PostgreSQL plans long lists slowly.
_IDS_PER_QUERY = 500
# Far more than any model's window holds.
_HISTORY_LIMIT = 2_000
_FRAMES_AT_A_TIME = 20


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What must be known of a session to decide whether it may be used."""

    id: uuid.UUID
    agent: str
    last_seq: int


def session_facts(session_id: uuid.UUID, user_id: int | None) -> SessionFacts | None:
    """A session of this user or an anonymous one; None for one that does not exist or belongs to another user.

    One query for both cases, so that not even the time it takes tells them apart.
    """
    rows = Session.objects.filter(usable_by(user_id), pk=session_id)
    row = rows.values_list("id", "agent", "last_seq").first()
    return SessionFacts(*row) if row else None


def facts_of_thread(thread: str, session_id: uuid.UUID | None, agent: str, user_id: int | None) -> SessionFacts | None:
    """The session with this agent that is found by `thread`, or has that id, as `session_facts` finds one."""
    named = Q(thread=thread) if session_id is None else Q(thread=thread) | Q(pk=session_id)
    rows = Session.objects.filter(named, usable_by(user_id), agent=agent)
    found = [SessionFacts(*row) for row in rows.values_list("id", "agent", "last_seq")]
    # Of two, the one that has the id itself.
    return max(found, key=lambda facts: facts.id == session_id, default=None)


def was_deleted(threads: Collection[str]) -> bool:
    """Whether a session that was found by one of these has been deleted lately."""
    return DeletedThread.objects.filter(pk__in=threads, deleted_at__gte=timezone.now() - REMEMBERED).exists()


def session_of_run(run_id: uuid.UUID, user_id: int | None) -> SessionFacts | None:
    """The session of a run, as `session_facts` finds one."""
    rows = Session.objects.filter(usable_by(user_id), runs=run_id)
    row = rows.values_list("id", "agent", "last_seq").first()
    return SessionFacts(*row) if row else None


def run_of_question(step_id: str) -> uuid.UUID | None:
    """The run that has asked this."""
    return Confirmation.objects.filter(step_id=step_id).values_list("run_id", flat=True).first()


def newest_run(session_id: uuid.UUID) -> uuid.UUID | None:
    """The run of the newest message in the log of a session."""
    asked = Event.objects.filter(session_id=session_id, name="user.message").order_by("-seq")
    frame = asked.values_list("frame", flat=True).first()
    return None if frame is None else uuid.UUID(orjson.loads(frame)["metadata"]["run_id"])


def begin_of_run(session_id: uuid.UUID, run_id: uuid.UUID) -> int | None:
    """The `seq` of the message that a run answers; None where it is not in the log."""
    asked = Event.objects.filter(session_id=session_id, name="user.message").order_by("-seq")
    wanted, found = str(run_id), None
    for seq, frame in asked.values_list("seq", "frame").iterator(chunk_size=_FRAMES_AT_A_TIME):
        if orjson.loads(frame)["metadata"]["run_id"] == wanted:
            found = seq  # the first of several, of which the others steered it
        elif found is not None:
            break
    return found


def unfinished_run(session_id: uuid.UUID) -> uuid.UUID | None:
    """The run of a session that is active, or is next."""
    rows = Run.objects.filter(session_id=session_id).unfinished().order_by("queued_at", "id")
    statuses = list(rows.values_list("id", "status"))
    active = (pk for pk, status in statuses if status in Run.ACTIVE)
    return next(active, statuses[0][0] if statuses else None)


def has_message(session_id: uuid.UUID, message_id: str) -> bool:
    """Whether a client has given a message of the session this id."""
    return Message.objects.filter(session_id=session_id, client_id=message_id).exists()


def error_detail(run_id: str) -> str:
    """What those who run the server may read of a run's error; empty where the event says everything."""
    return Run.objects.filter(pk=run_id).values_list("error_detail", flat=True).first() or ""


def last_seqs(session_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The last number of each of these logs. A session that is missing in the answer is deleted."""
    found: dict[uuid.UUID, int] = {}
    ids = list(session_ids)
    for start in range(0, len(ids), _IDS_PER_QUERY):
        rows = Session.objects.filter(pk__in=ids[start : start + _IDS_PER_QUERY])
        found.update(rows.values_list("id", "last_seq"))
    return found


class SessionGone(Exception):
    """The session was deleted meanwhile."""

    def __str__(self) -> str:
        return "its session was deleted"


def end_of_log(session_id: uuid.UUID) -> tuple[int, str]:
    """`last_seq` of a session and the status of its unfinished run, `idle` for none. Raises `SessionGone`."""
    last_seq = Session.objects.filter(pk=session_id).values_list("last_seq", flat=True).first()
    if last_seq is None:
        raise SessionGone
    unfinished = Run.objects.filter(session_id=session_id).unfinished().order_by("queued_at")
    statuses = set(unfinished.values_list("status", flat=True))
    active = next((status for status in (*Run.ACTIVE, Run.Status.QUEUED) if status in statuses), None)
    return last_seq, str(active.value) if active else "idle"


@dataclass(slots=True)
class Conversation:
    """What a run reads of its session: the messages in order, the state for tools, the name of the user."""

    messages: list[LibraryMessage]
    state: dict[str, Any]
    username: str | None
    summary: str = ""
    """Replaces the messages before these."""
    starts_after: int = 0
    """The position before that of the first message here."""
    counted: tuple[int, int] = (0, 0)
    """How many of the messages, from the first one on, have been counted, and how many characters they have."""

    @property
    def is_cut(self) -> bool:
        """Whether there are messages before these."""
        return self.starts_after > 0

    def take_summary(self, text: str, count: int, upto: int) -> None:
        """Replace the first `count` messages, of which the last has the position `upto`, by a summary."""
        del self.messages[:count]
        self.summary, self.starts_after, self.counted = text, upto, (0, 0)


def conversation(session_id: uuid.UUID, *, summarized: bool = False) -> Conversation:
    """The stored conversation; with `summarized`, its newest summary replaces the messages that it covers.

    Raises `SessionGone`.
    """
    placed = Message.objects.filter(session_id=session_id, position__isnull=False).order_by("-position")
    summary = None
    if summarized:
        summary = Summary.objects.filter(session_id=session_id).order_by("-upto_position").first()
    if summary is not None:
        placed = placed.filter(position__gt=summary.upto_position)
    columns = ("role", "content", "parts", "tool_calls", "tool_call_id", "provider_data", "position")
    rows = list(placed.only(*columns)[:_HISTORY_LIMIT])[::-1]
    while rows and rows[0].role == "tool":
        rows.pop(0)  # the limit may have parted results from their call
    session = Session.objects.values("state", "user__username").filter(pk=session_id).first()
    if session is None:
        raise SessionGone
    return Conversation(
        [row.to_library(with_provider_data=True) for row in rows],
        dict(session["state"] or {}),
        session["user__username"],
        summary=summary.content if summary is not None else "",
        starts_after=(rows[0].position or 1) - 1 if rows else 0,
    )


@dataclass(frozen=True, slots=True)
class RunNews:
    """What other processes may have done to a run: its epoch, and the answers to its questions."""

    epoch: int
    answers: dict[str, dict[str, Any]]
    is_steered: bool


def run_news(run_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, RunNews]:
    answers: dict[uuid.UUID, dict[str, dict[str, Any]]] = {}
    answered = Confirmation.objects.filter(run_id__in=run_ids, answer__isnull=False)
    answer: Any
    for run_id, step_id, answer in answered.values_list("run_id", "step_id", "answer"):
        answers.setdefault(run_id, {})[step_id] = answer
    queued = Run.objects.filter(status=Run.Status.QUEUED, finished_at=None)
    is_steered = Exists(queued.filter(session_id=OuterRef("session_id"), steers=True))
    rows = Run.objects.filter(pk__in=run_ids).values_list("id", "epoch", is_steered)
    return {pk: RunNews(epoch, answers.get(pk, {}), steered) for pk, epoch, steered in rows}


def going_of(agents: Collection[str]) -> Counter[str]:
    """How many runs of these agents are running in all processes; those that wait for a person do not count."""
    return Run.objects.going_of(agents)


def traceparent(run_id: uuid.UUID) -> str:
    """The trace that a run is part of, empty for none of others."""
    return Run.objects.filter(pk=run_id).values_list("traceparent", flat=True).first() or ""


def last_fallback(session_id: uuid.UUID, run_id: str) -> dict[str, Any] | None:
    """The metadata of the newest event with which an active run turned to another model; None when it never did."""
    resets = Event.objects.filter(session_id=session_id, name="agent.step_reset").order_by("-seq")
    for frame in resets.values_list("frame", flat=True).iterator(chunk_size=_FRAMES_AT_A_TIME):
        metadata: dict[str, Any] = orjson.loads(frame)["metadata"]
        if metadata["run_id"] != run_id:  # of an earlier run of the session
            return None
        if "model" in metadata:
            return metadata
    return None


def last_said(session_id: uuid.UUID) -> tuple[str, uuid.UUID] | None:
    """The id that a client gave the newest message of a session, empty for none, and the run that answers it."""
    said = Message.objects.filter(session_id=session_id, role=Message.Role.USER).order_by("-pk")
    last = said.values_list("client_id", "run_id").first()
    return (last[0] or "", last[1]) if last is not None else None


def output_schema(run_id: uuid.UUID) -> dict[str, Any] | None:
    """What the answer of a run has to be, None where its message did not say."""
    return Run.objects.filter(pk=run_id).values_list("output_schema", flat=True).first()


def waiting_by_agent() -> tuple[Counter[str], Counter[str]]:
    """How many runs of each agent are queued, and how many questions of their runs nobody has answered yet."""
    of_agents = Run.objects.unfinished().values("session__agent")
    queued = of_agents.filter(status=Run.Status.QUEUED).annotate(count=Count("pk"))
    unanswered = Count("confirmations", filter=Q(confirmations__answer__isnull=True))
    asking = of_agents.filter(status=Run.Status.WAITING).annotate(count=unanswered)
    columns = ("session__agent", "count")
    return Counter(dict(queued.values_list(*columns))), Counter(dict(asking.values_list(*columns)))


@dataclass(frozen=True, slots=True)
class LapsedRun:
    """An active run without a living owner. `owner` is empty if the last one released it."""

    session_id: uuid.UUID
    id: uuid.UUID
    epoch: int
    attempts: int
    agent: str
    owner: str


def lapsed_runs(mine: Sequence[uuid.UUID], dead_owners: Sequence[str], agents: Iterable[str]) -> list[LapsedRun]:
    """The runs of these agents whose lease has expired or whose owner is known to be dead, without `mine`."""
    others = Run.objects.active().exclude(pk__in=mine)
    if not others.exists():  # as usual, and a statement with less in it takes Django a quarter of the time
        return []
    lapsed = others.filter(Q(lease_until__lte=Now()) | Q(owner__in=dead_owners))
    rows = lapsed.filter(session__agent__in=list(agents)).order_by("queued_at")
    columns = ("session_id", "id", "epoch", "attempts", "session__agent", "owner")
    return [LapsedRun(*row) for row in rows.values_list(*columns)]


def active_owners() -> dict[str, bool]:
    """The owners of active runs, and whether one of their leases has not expired."""
    owned = Run.objects.active().exclude(owner="").values_list("owner")
    now, leases = timezone.now(), owned.annotate(Max("lease_until"))
    return {owner: until is not None and until > now for owner, until in leases}


def stored_by_anonymous() -> Held:
    """What all anonymous sessions take together."""
    size = Coalesce(Sum("stored_bytes"), 0, output_field=BigIntegerField())
    return Held(**Session.objects.of(None).aggregate(sessions=Count("pk"), stored_bytes=size))
