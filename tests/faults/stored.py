"""Everything that the servers of a round have stored, and what is known of it beside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from myagent.client import ServerFrame
from tests.faults.database import Row
from tests.faults.disturbances import INTERRUPTING, Disturbances, Kind
from tests.faults.plan import Plan

ENDED = {"succeeded": "agent.final_answer", "failed": "agent.error", "cancelled": "agent.interrupted"}


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as the database has it, with the plan of its message."""

    row: Row
    plan: Plan

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def where(self) -> str:
        """For reports."""
        return f"session {self.row['session_id']}, run {self.id}, message {self.plan.token}"


class Stored:
    """The tables by name, by session and by run."""

    def __init__(self, tables: Mapping[str, Sequence[Row]], disturbances: Disturbances) -> None:
        self.tables = tables
        self.disturbances = disturbances
        self.sessions = {row["id"]: row for row in tables["session"]}
        self.logs: dict[str, list[ServerFrame]] = defaultdict(list)
        self.frames: dict[str, dict[int, str]] = defaultdict(dict)
        for row in sorted(tables["event"], key=lambda row: (row["session_id"], row["seq"])):
            self.logs[row["session_id"]].append(ServerFrame.parse(row["frame"]))
            self.frames[row["session_id"]][row["seq"]] = row["frame"]
        self.history: dict[str, list[Row]] = defaultdict(list)
        placed = [row for row in tables["message"] if row["position"] is not None]
        for row in sorted(placed, key=lambda row: (row["session_id"], row["position"])):
            self.history[row["session_id"]].append(row)
        # A run that holds the history of an exported session began and ended with its session.
        ended = [row for row in tables["run"] if row["status"] == "succeeded"]
        copied = {row["id"] for row in ended if row["queued_at"] == row["finished_at"]}
        self.restored: dict[str, list[Row]] = {
            session_id: [row for row in history if row["run_id"] in copied]
            for session_id, history in self.history.items()
        }
        """The messages that each session began with, where it was made from an exported one."""
        plans = {row["run_id"]: Plan.parse(row["content"]) for row in tables["message"] if row["role"] == "user"}
        self.runs = {row["id"]: StoredRun(row, plans[row["id"]]) for row in tables["run"] if row["id"] not in copied}
        self.by_token = {run.plan.token: run for run in self.runs.values()}

    def disturbed(self, run: StoredRun, kinds: frozenset[Kind] = INTERRUPTING) -> int:
        """How many disturbances of these kinds fell into the life of a run."""
        ended = run.row["finished_at"]
        return self.disturbances.count(kinds, run.row["queued_at"], float("inf") if ended is None else ended)
