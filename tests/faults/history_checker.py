"""What must hold of the stored history, and how it agrees with the log and with what the tools did."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby

from myagent.client import ServerFrame
from tests.faults.database import Row
from tests.faults.log_checker import wrong_words
from tests.faults.stored import Stored, StoredRun

BROKEN_OFF = "\n[broken off]"


class HistoryChecker:
    """Checks the history of one session; `effects` is how often each call took effect, by its key."""

    def __init__(self, session_id: str, stored: Stored, effects: Counter[str]) -> None:
        self.problems: list[str] = []
        self._stored = stored
        self._session_id = session_id
        self._history = stored.history[session_id]
        self._effects = effects

    def check(self) -> list[str]:
        """Everything; returns the problems."""
        positions = [row["position"] for row in self._history]
        if len(set(positions)) != len(positions):
            self._problem(f"positions are taken twice: {positions}")
        of_run = [run_id for run_id, _ in groupby(row["run_id"] for row in self._history)]
        if len(set(of_run)) != len(of_run):
            self._problem(f"the messages of runs are mixed: {of_run}")
        self._check_calls_have_results()
        frames: dict[str, list[ServerFrame]] = defaultdict(list)
        for frame in self._stored.logs[self._session_id]:
            frames[frame.run_id or ""].append(frame)
        for run in self._stored.runs.values():
            if run.row["session_id"] == self._session_id:
                self._check_run(run, [row for row in self._history if row["run_id"] == run.id], frames[run.id])
        return self.problems

    def _problem(self, words: str, run: StoredRun | None = None) -> None:
        self.problems.append(f"history of {run.where if run else f'session {self._session_id}'}: {words}")

    def _check_calls_have_results(self) -> None:
        awaited: list[str] = []
        for row in self._history:
            if row["role"] == "tool":
                if not awaited or awaited.pop(0) != row["tool_call_id"]:
                    self._problem(f"position {row['position']} holds the result of {row['tool_call_id']} out of order")
                continue
            if awaited:
                self._problem(f"position {row['position']} ({row['role']}) comes before the results of {awaited}")
            awaited = [call["id"] for call in row["tool_calls"] or ()]
        if awaited:
            self._problem(f"ends without the results of {awaited}")

    def _check_run(self, run: StoredRun, rows: list[Row], frames: list[ServerFrame]) -> None:
        if [row["role"] for row in rows].count("user") != 1 or rows[0]["role"] != "user":
            self._problem(f"does not begin with its message, once: {[row['role'] for row in rows]}", run)
        said = [row for row in rows if row["role"] == "assistant"]
        for row in said:
            whole = row["content"].removesuffix(BROKEN_OFF)
            if wrong := wrong_words(run, whole, whole=whole == row["content"]):
                self._problem(f"position {row['position']}: {wrong}", run)
        final = [frame.content for frame in frames if frame.event == "agent.final_answer"]
        if final and (not said or said[-1]["content"] != final[0] or said[-1]["tool_calls"]):
            self._problem(f"ends with {said[-1:]}, and the answer was {final[0]!r}", run)
        self._check_results(run, rows, frames)

    def _check_results(self, run: StoredRun, rows: list[Row], frames: list[ServerFrame]) -> None:
        """The log, the history and what the tools did say the same of each call."""
        told = {row["tool_call_id"]: row["content"] for row in rows if row["role"] == "tool"}
        results = {frame.step_id: frame for frame in frames if frame.event == "agent.tool_result"}
        questions = {
            frame.step_id: frame.metadata["call_step_id"] for frame in frames if frame.event == "agent.user_confirm"
        }
        allowed = {
            questions.get(frame.step_id): frame.content["confirmed"]
            for frame in frames
            if frame.event == "user.response"
        }
        for call in (frame for frame in frames if frame.event == "agent.tool_call"):
            result = results.get(call.step_id)
            if result is None:
                continue  # the check of the log says so
            self._check_effect(run, call, result, allowed.get(call.step_id))
            stored = told.get(call.metadata["call_id"])
            if stored is None or (result.metadata["status"] == "success" and stored != result.content):
                self._problem(f"seq {result.seq} says {result.content!r}, the history says {stored!r}", run)
        calls = [frame for frame in frames if frame.event == "agent.tool_call"]
        if len(told) != len(calls):
            self._problem(f"{len(calls)} calls were shown, {len(told)} have results", run)

    def _check_effect(self, run: StoredRun, call: ServerFrame, result: ServerFrame, allowed: bool | None) -> None:
        key, tool, status = call.metadata["args"]["key"], call.metadata["tool"], result.metadata["status"]
        effects = self._effects[key]
        if effects > 1 and (tool != "again" or not self._stored.disturbed(run)):
            self._problem(f"seq {call.seq}: {tool} {key} took effect {effects} times", run)
        if status in ("success", "failed") and effects == 0:
            self._problem(f"seq {result.seq}: {tool} {key} is said to be done, and took no effect", run)
        if status == "success" and result.content != f"done {key}":
            self._problem(f"seq {result.seq}: {tool} {key} says {result.content!r}", run)
        if tool == "careful" and allowed is not True and (effects or status == "success"):
            self._problem(f"seq {result.seq}: {key} was not allowed ({allowed}): {status}, {effects} times", run)
