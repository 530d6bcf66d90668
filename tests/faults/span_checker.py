"""What tracing kept agrees with the runs, their calls and the model's own record."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.faults.database import Row
from tests.faults.model import Asked
from tests.faults.stored import ENDED, Stored, StoredRun

RAN = ("success", "failed")
"""How a call can end whose code ran to its end."""


class SpanChecker:
    """Checks the spans of a round, all of whose runs are traced."""

    def __init__(self, asked: list[Asked], stored: Stored) -> None:
        self._requests = Counter(request.token for request in asked)
        self._stored = stored
        self._spans: dict[str, list[Row]] = defaultdict(list)
        for row in stored.tables["span"]:
            self._spans[row["run_id"]].append(row)
        self._calls: dict[str, list[Row]] = defaultdict(list)
        for row in stored.tables["toolcall"]:
            self._calls[row["run_id"]].append(row)

    def check(self) -> Iterator[str]:
        """Everything; the problems."""
        for run in self._stored.runs.values():
            for words in self._check_run(run, self._spans[run.id]):
                yield f"spans, {run.where}: {words}"

    def _check_run(self, run: StoredRun, spans: list[Row]) -> Iterator[str]:
        if run.row["status"] in ENDED and (left := [row["name"] for row in spans if row["outcome"] == "open"]):
            yield f"it has ended, and {left} go on"
        if run.row["status"] != "succeeded" or self._stored.disturbed(run):
            return  # what a process had not written when it died is nowhere
        asked = sum(1 + row["retries"] for row in spans if row["kind"] == "reply")
        if asked != self._requests[run.plan.token]:
            yield f"they tell of {asked} requests, and the model had {self._requests[run.plan.token]}"
        told = Counter(row["step_id"] for row in spans if row["kind"] == "tool")
        ran = Counter(row["step_id"] for row in self._calls[run.id] if row["outcome"] in RAN)
        if told != ran:
            yield f"they tell of the calls {sorted(told.elements())}, and {sorted(ran)} were run"
