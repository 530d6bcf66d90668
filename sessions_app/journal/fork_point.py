"""Where a fork leaves the log of a session: which of its runs and events come before that."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db.models import Max

from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.server_events import TERMINAL_EVENTS
from sessions_app.journal.refusal import Refused
from sessions_app.models import Event, Message, ToolCall

SAID = "user.message"
OF_THE_SESSION = frozenset({"agent.session_created", "agent.session_updated", "agent.session_end", "user.feedback"})
"""What is said of the session itself, or of answers given in it, and so not of a fork."""
EVENTS_AT_A_TIME = 50
_CALLS_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class CutRun:
    """A run of which only the first `steps` are taken: events up to `last_seq`, messages up to `last_position`."""

    run_id: uuid.UUID
    steps: int
    last_seq: int
    last_position: int


@dataclass(slots=True)
class ForkPoint:
    """What comes before the fork: every run that is not among `left_out`.

    Runs that had ended by then are taken whole. Of one that had not, the finished steps are taken; where there are
    none, the run is left out with its message. Runs that the log does not begin, those of a restored history, come
    before all others.
    """

    upto: int
    """The last event that may be taken if it belongs to no run."""
    again: uuid.UUID | None = None
    """The run of the message that the fork comes before."""
    ended: dict[uuid.UUID, int] = field(default_factory=dict)
    """The runs that are taken whole, by the `seq` of their last event."""
    cut: CutRun | None = None
    left_out: set[uuid.UUID] = field(default_factory=set)

    @property
    def last_seq(self) -> int:
        """Nothing behind it is taken."""
        of_cut = self.cut.last_seq if self.cut is not None else 0
        return max(self.upto, of_cut, *self.ended.values(), 0)

    def takes_event(self, seq: int, name: str, run_id: uuid.UUID | None) -> bool:
        """Whether a fork has a copy of this event."""
        if name in OF_THE_SESSION or run_id in self.left_out:
            return False
        if self.cut is not None and run_id == self.cut.run_id:
            return seq <= self.cut.last_seq
        return seq <= self.upto or run_id in self.ended

    def takes_message(self, run_id: uuid.UUID, position: int) -> bool:
        """Whether a fork has a copy of this message, which has this place in the history."""
        if self.cut is not None and run_id == self.cut.run_id:
            return position <= self.cut.last_position
        return run_id not in self.left_out


def before_message(session_id: uuid.UUID, message_id: str, last_seq: int) -> ForkPoint:
    """The point before this message; the run that it began and all later ones are left out. Raises `Refused`.

    What earlier runs did while the message was queued comes before it.
    """
    asked, ended, found = _milestones(session_id, last_seq, message_id)
    if found is None:
        raise Refused(ErrorCode.MESSAGE_NOT_FOUND)
    run_id, said_at = found
    point = ForkPoint(upto=said_at - 1, again=run_id)
    if said_at == asked[run_id]:
        _sort(session_id, point, asked, ended, horizon=last_seq)
        return point
    # It steered its run, which is cut there: when a run reads such a message, all its calls have results.
    others = {other: seq for other, seq in asked.items() if other != run_id}
    _sort(session_id, point, others, ended, horizon=point.upto)
    point.cut = _before_steering(session_id, run_id, message_id, last_seq=point.upto)
    return point


def behind_event(session_id: uuid.UUID, seq: int, last_seq: int) -> ForkPoint:
    """The point behind this event, with what had been finished by then. Raises `Refused`."""
    if seq > last_seq:
        raise Refused(ErrorCode.CURSOR_AHEAD, last_seq=last_seq)
    asked, ended, _ = _milestones(session_id, last_seq)
    point = ForkPoint(upto=seq)
    _sort(session_id, point, asked, ended, horizon=seq)
    return point


def frames_of(session_id: uuid.UUID, last_seq: int, **where: Any) -> Iterator[tuple[int, str, Any, dict[str, Any]]]:
    """Number, name, time and content of the events up to `last_seq`, in order; few are in memory at a time."""
    seq = 0
    while True:
        rows = Event.objects.after(session_id, seq).filter(seq__lte=last_seq, **where)
        page = list(rows.values_list("seq", "name", "created_at", "frame")[:EVENTS_AT_A_TIME])
        for seq, name, created_at, frame in page:
            yield seq, name, created_at, orjson.loads(frame)
        if len(page) < EVENTS_AT_A_TIME:
            return


def run_of(frame: dict[str, Any]) -> uuid.UUID | None:
    """The run that an event belongs to."""
    run_id = frame["metadata"].get("run_id")
    return uuid.UUID(run_id) if run_id is not None else None


def _milestones(
    session_id: uuid.UUID, last_seq: int, message_id: str | None = None
) -> tuple[dict[uuid.UUID, int], dict[uuid.UUID, int], tuple[uuid.UUID, int] | None]:
    """Where the first message of each run is, and the end of each; and the run and the place of this message."""
    asked: dict[uuid.UUID, int] = {}
    ended: dict[uuid.UUID, int] = {}
    found = None
    for seq, name, _, frame in frames_of(session_id, last_seq, name__in=(SAID, *TERMINAL_EVENTS)):
        if (run_id := run_of(frame)) is None:
            continue
        if name != SAID:
            ended[run_id] = seq
            continue
        asked.setdefault(run_id, seq)
        if message_id is not None and frame["metadata"]["message_id"] == message_id and found is None:
            found = run_id, seq
    return asked, ended, found


def _sort(
    session_id: uuid.UUID, point: ForkPoint, asked: dict[uuid.UUID, int], ended: dict[uuid.UUID, int], *, horizon: int
) -> None:
    for run_id, said_at in asked.items():
        ended_at = ended.get(run_id)
        if said_at > point.upto:
            point.left_out.add(run_id)
        elif ended_at is not None and ended_at <= horizon:
            point.ended[run_id] = ended_at
        elif (cut := _finished_steps(session_id, run_id, horizon)) is not None:
            point.cut = cut
        else:
            point.left_out.add(run_id)


def _before_steering(session_id: uuid.UUID, run_id: uuid.UUID, message_id: str, *, last_seq: int) -> CutRun:
    """What a run had done when it read this message."""
    messages = Message.objects.filter(session_id=session_id, client_id=message_id)
    position = messages.values_list("position", flat=True).get()
    done = ToolCall.objects.filter(run_id=run_id, position__lt=position).aggregate(steps=Max("step"))
    return CutRun(run_id, done["steps"] or 0, last_seq, (position or 0) - 1)


def _finished_steps(session_id: uuid.UUID, run_id: uuid.UUID, horizon: int) -> CutRun | None:
    """The steps of a run all of whose calls had results by then; None when there are none."""
    cut, steps = None, 0
    last_seq = last_position = 0
    calls = ToolCall.objects.filter(run_id=run_id).order_by("step", "index")
    known = list(calls.values_list("step", "step_id", "position"))
    for start in range(0, len(known), _CALLS_AT_A_TIME):
        page = known[start : start + _CALLS_AT_A_TIME]
        results = Event.objects.filter(session_id=session_id, seq__lte=horizon, name="agent.tool_result")
        found = dict(results.filter(step_id__in=[step_id for _, step_id, _ in page]).values_list("step_id", "seq"))
        for step, step_id, position in page:
            if step != steps:
                if steps:
                    cut = CutRun(run_id, steps, last_seq, last_position)
                steps = step
            if step_id not in found:
                return cut
            last_seq, last_position = max(last_seq, found[step_id]), position
    return CutRun(run_id, steps, last_seq, last_position) if steps else None
