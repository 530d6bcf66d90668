"""What the protocol promises of the log of one session, whatever was done to the servers meanwhile."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from myagent.client import ServerFrame
from tests.faults.disturbances import CRASHING
from tests.faults.model import words_of
from tests.faults.stored import ENDED, Stored, StoredRun

POISONED_AFTER = 3
MODEL_CODES = ("llm_unavailable", "llm_unreachable", "llm_rejected")
_PARTIAL = "agent.partial_answer"
_NOT_BEGUN = ("user.message",)


class LogChecker:
    """Checks one log; `problems` are what is wrong with it."""

    def __init__(self, session_id: str, stored: Stored) -> None:
        self.problems: list[str] = []
        self._session_id = session_id
        self._stored = stored
        self._log = stored.logs[session_id]

    def check(self) -> list[str]:
        """Everything; returns the problems."""
        self._check_numbers()
        by_run: dict[str, list[ServerFrame]] = defaultdict(list)
        for frame in self._log:
            if frame.run_id is not None:
                by_run[frame.run_id].append(frame)
            elif not frame.event.startswith("agent.session_"):
                self._problem(f"seq {frame.seq}: {frame.event} is of no run")
        for run in self._stored.runs.values():
            if run.row["session_id"] == self._session_id and run.id not in by_run:
                self._problem(f"run {run.id} is not in the log")
        for run_id, frames in by_run.items():
            if (found := self._stored.runs.get(run_id)) is None:
                self._problem(f"seq {frames[0].seq}: run {run_id} is not stored")
            else:
                self._check_run(found, frames)
        self._check_order(by_run)
        return self.problems

    def _problem(self, words: str, run: StoredRun | None = None) -> None:
        self.problems.append(f"log of {run.where if run else f'session {self._session_id}'}: {words}")

    def _check_numbers(self) -> None:
        for before, after in pairwise([0, *(frame.seq or 0 for frame in self._log)]):
            if after != before + 1:
                self._problem(f"seq {after} follows {before}")
        for frame in self._log:
            if frame.event_id != f"{self._session_id}-{frame.seq}":
                self._problem(f"seq {frame.seq} has the event_id {frame.event_id}")

    def _check_order(self, by_run: dict[str, list[ServerFrame]]) -> None:
        """Answered in the order of the messages, one after the other."""
        asked = [frames[0].run_id for frames in by_run.values() if frames[0].event == "user.message"]
        ended = [frame.run_id for frame in self._log if frame.ends_run]
        if asked != ended:
            self._problem(f"runs were asked for in the order {asked} and ended in the order {ended}")
        going: str | None = None
        for frame in self._log:
            if frame.run_id is None or frame.event in _NOT_BEGUN:
                continue
            if going not in (None, frame.run_id):
                self._problem(f"seq {frame.seq}: {frame.event} of run {frame.run_id} while run {going} goes on")
            going = None if frame.ends_run else frame.run_id

    # --- one run ---

    def _check_run(self, run: StoredRun, frames: list[ServerFrame]) -> None:
        if [frame.event for frame in frames].count("user.message") != 1 or frames[0].event != "user.message":
            self._problem("does not begin with its message, once", run)
        self._check_end(run, frames)
        self._check_text(run, frames)
        self._check_calls(run, frames)

    def _check_end(self, run: StoredRun, frames: list[ServerFrame]) -> None:
        ends = [frame for frame in frames if frame.ends_run]
        if len(ends) != 1 or frames[-1] is not ends[0]:
            events = [(frame.seq, frame.event) for frame in frames[-8:]]
            self._problem(f"has {len(ends)} ends; status {run.row['status']}, the last events are {events}", run)
            return
        (end,) = ends
        if ENDED.get(run.row["status"]) != end.event:
            self._problem(f"seq {end.seq}: {end.event}, but the run's status is {run.row['status']}", run)
        if end.event == "agent.error":
            self._check_error(run, end)

    def _check_error(self, run: StoredRun, end: ServerFrame) -> None:
        """An error needs an excuse."""
        kills = self._stored.disturbed(run)
        match end.code:
            case "poisoned":
                excused = self._stored.disturbed(run, CRASHING) >= POISONED_AFTER
            case code if code in MODEL_CODES:
                excused = True  # the record of the model tells whether it failed
            case _:
                excused = False
        if not excused:
            self._problem(f"seq {end.seq}: failed with {end.code} ({end.content}); {kills} disturbances", run)

    def _check_text(self, run: StoredRun, frames: list[ServerFrame]) -> None:
        """Pieces are whole and in order; joined they are the words of one reply, and the answer is the last one's."""
        pieces: list[str] = []
        step = 0
        finished = False
        for frame in frames:
            if frame.event == "agent.step_reset" or frame.metadata.get("step", step) != step:
                pieces, step, finished = [], frame.metadata["step"], False
            if frame.event == _PARTIAL:
                if finished or frame.metadata["index"] != len(pieces):
                    self._problem(f"seq {frame.seq}: index {frame.metadata['index']} after {len(pieces)} pieces", run)
                pieces.append(frame.content)
                finished = frame.metadata["is_final"]
                self._check_words(run, frame, "".join(pieces), whole=finished)
            if frame.event == "agent.final_answer":
                if "".join(pieces) != frame.content:
                    self._problem(f"seq {frame.seq}: the answer is {frame.content!r}, shown was {pieces}", run)
                self._check_words(run, frame, frame.content, whole=True)

    def _check_words(self, run: StoredRun, frame: ServerFrame, text: str, *, whole: bool) -> None:
        wrong = wrong_words(run, text, whole=whole)
        if wrong:
            self._problem(f"seq {frame.seq}: {wrong}", run)

    def _check_calls(self, run: StoredRun, frames: list[ServerFrame]) -> None:
        open_calls: dict[str, ServerFrame] = {}
        known: set[str | None] = set()
        questions: set[str | None] = set()
        for frame in frames:
            match frame.event:
                case "agent.tool_call":
                    if frame.step_id in known:
                        self._problem(f"seq {frame.seq}: call {frame.step_id} came twice", run)
                    known.add(frame.step_id)
                    open_calls[frame.step_id or ""] = frame
                case "agent.tool_result":
                    if open_calls.pop(frame.step_id or "", None) is None:
                        self._problem(f"seq {frame.seq}: a result of {frame.step_id}, which is no open call", run)
                    self._check_status(run, frame)
                case "agent.user_confirm":
                    if frame.metadata["call_step_id"] not in open_calls:
                        self._problem(f"seq {frame.seq}: asks about a call that is not open", run)
                    questions.add(frame.step_id)
                case "user.response":
                    if frame.step_id not in questions:
                        self._problem(f"seq {frame.seq}: answers {frame.step_id}, which is no open question", run)
                    questions.discard(frame.step_id)
        if open_calls:
            self._problem(f"ended with the open calls {list(open_calls)}", run)

    def _check_status(self, run: StoredRun, frame: ServerFrame) -> None:
        status, tool = frame.metadata["status"], frame.metadata["tool"]
        if status == "unknown":
            # What may run again is run again, unless its run was given up.
            may_be_lost = tool != "again" or run.row["error_code"] == "poisoned"
            if not (may_be_lost and self._stored.disturbed(run)):
                self._problem(f"seq {frame.seq}: the result of {tool} is unknown without need", run)
        expected = {"success", "unknown", "cancelled"} | ({"declined"} if tool == "careful" else set())
        if status not in ({"failed", "unknown", "cancelled"} if tool == "fail" else expected):
            self._problem(f"seq {frame.seq}: {tool} has the status {status}: {frame.content}", run)


def wrong_words(run: StoredRun, text: str, *, whole: bool) -> str:
    """What is wrong with a text that should be the words of one reply, or when it is not whole the first of them."""
    if not text:
        return ""
    token, number, attempt, _ = text.split(" ", 1)[0].split(".")
    words = "".join(words_of(token, int(number), int(attempt), run.plan.steps[int(number)].words))
    if token == run.plan.token and (text == words if whole else words.startswith(text)):
        return ""
    return f"{text!r} is not {'all' if whole else 'the beginning'} of {words!r}"
