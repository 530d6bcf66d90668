"""Copies of what a fork takes over, written a few rows at a time: however long a session is, little is in memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import orjson
from django.db.models import Model, QuerySet

from myagent.i18n import gettext as _
from myagent.llm import Usage
from myagent.protocol.codec import encode, timestamp
from myagent.protocol.cursor import event_id
from myagent.protocol.server_events import Interrupted, InterruptedMetadata
from sessions_app.journal.batch import Batch
from sessions_app.journal.bulk_sql import insert_rows
from sessions_app.journal.fork_point import EVENTS_AT_A_TIME, ForkPoint, frames_of, run_of
from sessions_app.journal.locked_rows import LockedSession
from sessions_app.journal.stored_size import size_of_message, size_of_state, size_of_text
from sessions_app.models import Event, Message, Run, Session, Summary, ToolCall

FORKED = "forked"
"""Why a run ends in a fork of which only the first steps were taken."""
_ROWS_AT_A_TIME = 50
_COST = tuple(item.name for item in fields(Usage))
_FEEDBACK = ("rating", "comment", "rated_at")


class ForkCopy:
    """Writes to `target`, a session that this transaction has made. The source is only read.

    Runs, steps and calls have ids that are found from the old ones, so that no table of them is needed.
    """

    def __init__(self, batch: Batch, source_id: uuid.UUID, target: LockedSession, point: ForkPoint) -> None:
        self._batch = batch
        self._source_id = source_id
        self._target = target
        self._point = point
        self._name = str(target.id)
        self._answered_at: dict[uuid.UUID, int] = {}
        """Where the log of the fork has the final answer of each run whose deltas are still there."""
        self._first_missing: int | None = None

    def write(self) -> None:
        """Write all of it behind what `target` has. Returns nothing: `target` knows how far it goes."""
        self._batch.writes.flush()
        self._copy_events()
        self._copy_runs()
        self._copy_messages()
        self._copy_summaries()
        target = self._target
        self._batch.writes.change(
            Session,
            target.id,
            last_seq=target.last_seq,
            acked_seq=target.last_seq,
            last_position=target.last_position,
            stored_bytes=target.stored_bytes,
        )

    def _run(self, run_id: uuid.UUID) -> uuid.UUID:
        return uuid.uuid5(self._target.id, run_id.hex)

    def _step(self, step_id: str) -> str:
        return uuid.uuid5(self._target.id, step_id).hex

    def _insert(self, model: type[Model], rows: list[dict[str, Any]]) -> None:
        if rows:
            insert_rows(model, rows)
        self._batch.answered()

    # --- the log ---

    def _copy_events(self) -> None:
        rows: list[dict[str, Any]] = []
        for seq, name, created_at, frame in frames_of(self._source_id, self._point.last_seq):
            if not self._point.takes_event(seq, name, run_id := run_of(frame)):
                continue
            if name == "agent.final_answer" and run_id is not None:
                self._answered_at[run_id] = self._target.last_seq + 1
            rows.append(self._event(name, self._rewritten(frame), created_at))
            if len(rows) == EVENTS_AT_A_TIME:
                self._insert(Event, rows)
                rows = []
        if self._point.cut is not None:
            rows.append(self._end_of_cut(self._point.cut.run_id))
        self._insert(Event, rows)

    def _rewritten(self, frame: dict[str, Any]) -> dict[str, Any]:
        """The frame with the ids and the number that it has in the fork."""
        seq = self._target.last_seq + 1
        metadata = frame["metadata"]
        if "run_id" in metadata:
            metadata["run_id"] = str(self._run(uuid.UUID(metadata["run_id"])))
        if metadata.get("call_step_id"):  # a question of a hook may be about no call
            metadata["call_step_id"] = self._step(metadata["call_step_id"])
        if "step_id" in frame:
            frame["step_id"] = self._step(frame["step_id"])
        return {**frame, "session_id": self._name, "seq": seq, "event_id": event_id(self._name, seq)}

    def _event(self, name: str, frame: dict[str, Any], created_at: Any) -> dict[str, Any]:
        text = orjson.dumps(frame).decode()
        self._target.last_seq += 1
        self._target.grow(size_of_text(text))
        step_id = frame.get("step_id", "")
        columns = {"seq": self._target.last_seq, "name": name, "step_id": step_id, "frame": text}
        return {"session_id": self._target.id, "created_at": created_at, **columns}

    def _end_of_cut(self, run_id: uuid.UUID) -> dict[str, Any]:
        metadata = InterruptedMetadata(run_id=str(self._run(run_id)), reason=FORKED)
        event = Interrupted(content=_("The rest of this answer is not part of the fork."), metadata=metadata)
        seq, now = self._target.last_seq + 1, self._batch.now
        frame = orjson.loads(encode(event, session_id=self._name, seq=seq, at=timestamp(now)))
        return self._event(event.event, frame, now)

    # --- the history ---

    def _copy_runs(self) -> None:
        for page in _pages(
            Run.objects.filter(session_id=self._source_id).exclude(steers=True, status=Run.Status.QUEUED)
        ):
            kept = [row for row in page if row["id"] not in self._point.left_out]
            self._insert(Run, [self._run_row(row) for row in kept])
            for row in kept:
                self._copy_calls(row["id"])

    def _run_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """What the run spent was counted where it ran, and what was thought of it was said there."""
        for name in (*_COST, *_FEEDBACK):
            del row[name]
        had_deltas = row["streamed_until"] is not None
        cut = self._point.cut if self._point.cut is not None and self._point.cut.run_id == row["id"] else None
        ended = {}
        if cut is not None:
            over = {"status": Run.Status.CANCELLED, "finished_at": self._batch.now}
            ended = {
                **over,
                "steps": cut.steps,
                "error_code": "",
                "error_detail": "",
                "finish": "",
                "limit": "",
                "end_state": False,
            }
        copied = {
            **row,
            "id": self._run(row["id"]),
            "token_id": None,
            "traceparent": "",
            "session_id": self._target.id,
            "owner": "",
            "lease_until": None,
            "streamed_until": self._answered_at.get(row["id"]) if had_deltas and cut is None else None,
            **ended,
        }
        self._target.grow(size_of_state(copied["end_state"]))
        return copied

    def _copy_calls(self, run_id: uuid.UUID) -> None:
        cut = self._point.cut if self._point.cut is not None and self._point.cut.run_id == run_id else None
        calls = ToolCall.objects.filter(run_id=run_id)
        for page in _pages(calls if cut is None else calls.filter(step__lte=cut.steps)):
            ids = [{"step_id": self._step(row["step_id"]), "run_id": self._run(run_id)} for row in page]
            self._insert(ToolCall, [{**row, **new} for row, new in zip(page, ids, strict=True)])

    def _copy_messages(self) -> None:
        for page in _pages(Message.objects.filter(session_id=self._source_id, position__isnull=False)):
            rows = []
            for row in page:
                if not self._point.takes_message(row["run_id"], row["position"]):
                    self._first_missing = min(row["position"], self._first_missing or row["position"])
                    continue
                del row["id"]
                new = {"session_id": self._target.id, "run_id": self._run(row["run_id"])}
                rows.append({**row, **new})
                self._target.grow(size_of_message(row))
                self._target.last_position = max(self._target.last_position, row["position"])
            self._insert(Message, rows)

    def _copy_summaries(self) -> None:
        """Those of nothing but what was taken."""
        summaries = Summary.objects.filter(session_id=self._source_id)
        if self._first_missing is not None:
            summaries = summaries.filter(upto_position__lt=self._first_missing)
        for page in _pages(summaries):
            for row in page:
                del row["id"]
            self._insert(Summary, [{**row, "session_id": self._target.id} for row in page])


def _pages(rows: QuerySet[Any]) -> Iterator[list[dict[str, Any]]]:
    """The rows as columns, a few at a time; of all of them only the keys are in memory."""
    keys = list(rows.values_list("pk", flat=True))
    for start in range(0, len(keys), _ROWS_AT_A_TIME):
        found = rows.model._default_manager.filter(pk__in=keys[start : start + _ROWS_AT_A_TIME])
        yield [dict(row) for row in found.values()]
