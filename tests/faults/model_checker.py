"""What the model was asked agrees with what is stored: nothing committed is asked again, nothing after the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from myagent.llm.requests.request_messages import GO_ON, OPENING, RESULTS_SEEN
from tests.faults.conversations import Conversations
from tests.faults.disturbances import REVIVING
from tests.faults.log_checker import MODEL_CODES
from tests.faults.model import Asked
from tests.faults.plan import BETWEEN_MESSAGES
from tests.faults.stored import Stored, StoredRun

GRACE_SECONDS = 2.0
"""After its end a run may cost for so long: the process that works on it learns of a cancel by a hint, or a look."""


class ModelChecker:
    """Checks the record of the model against the stored runs."""

    def __init__(self, asked: list[Asked], stored: Stored, conversations: Conversations) -> None:
        self.problems: list[str] = []
        self._asked: dict[str, list[Asked]] = defaultdict(list)
        for request in asked:
            self._asked[request.token].append(request)
        self._stored = stored
        self._conversations = conversations

    def check(self) -> list[str]:
        """Everything; returns the problems."""
        for token in self._asked.keys() - self._stored.by_token.keys():
            if not self._conversations.is_excused(self._conversations.session_of[token]):
                self.problems.append(f"the model was asked about {token}, which is not stored")
        for token, run in self._stored.by_token.items():
            requests = self._asked[token]
            self._check_repeats(run, requests)
            self._check_progress(run, requests)
            self._check_after_end(run, requests)
            for request in requests:
                self._check_history(run, request)
            if run.row["error_code"] in MODEL_CODES and not any(request.fault for request in requests):
                self._problem(run, f"failed with {run.row['error_code']}, and the model never did")
            if run.row["status"] == "succeeded" and len({request.step for request in requests}) != len(run.plan.steps):
                self._problem(run, f"succeeded without all of its {len(run.plan.steps)} steps")
        return self.problems

    def _problem(self, run: StoredRun, words: str) -> None:
        self.problems.append(f"model, {run.where}: {words}")

    def _check_repeats(self, run: StoredRun, requests: list[Asked]) -> None:
        """A step is asked for once, and once more for each failure of the model and each disturbance."""
        allowed = 1 + self._stored.disturbed(run)
        failed = Counter(request.step for request in requests if request.fault)
        for step, count in Counter(request.step for request in requests).items():
            if count > allowed + failed[step]:
                words = f"step {step} was asked for {count} times; {failed[step]} failed, {allowed - 1} disturbances"
                self._problem(run, words)

    def _check_progress(self, run: StoredRun, requests: list[Asked]) -> None:
        """What has a committed reply is not asked again, but for an owner that has slept and does not know of it."""
        newest, old = 0, 0
        for request in requests:
            old += request.step < newest
            newest = max(newest, request.step)
        if old > (revivals := self._stored.disturbed(run, REVIVING)):
            steps = [request.step for request in requests]
            self._problem(run, f"the model was asked for the steps {steps}; {revivals} could have come back late")

    def _check_after_end(self, run: StoredRun, requests: list[Asked]) -> None:
        ended = run.row["finished_at"]
        late = [request for request in requests if ended is not None and request.at > ended + GRACE_SECONDS]
        if len(late) > self._stored.disturbed(run, REVIVING):
            words = [f"step {request.step} after {request.at - ended:.1f} s" for request in late]
            self._problem(run, f"the model was asked after the end: {words}")

    def _check_history(self, run: StoredRun, request: Asked) -> None:
        """What was sent is the beginning of the stored history; a result may have been lost before it was stored."""
        stored = _apart(_as_sent(row) for row in self._stored.history[run.row["session_id"]])
        sent = _apart(_comparable(message) for message in request.messages)
        lost = next((at for at, (one, other) in enumerate(zip(sent, stored, strict=False)) if one != other), None)
        if lost is None and len(sent) <= len(stored):
            return
        if lost is None:
            lost = len(stored)
        unstored = sent[lost:]
        begun = run.row["status"] != "succeeded" or self._stored.disturbed(run)
        if not begun or any(message[0] != "tool" for message in unstored):
            found = stored[lost : lost + 1]
            self._problem(run, f"step {request.step} was asked with {unstored[:1]} at {lost}, stored is {found}")


Comparable = tuple[str, str, tuple[str, ...], str]
FILLERS = {("assistant", RESULTS_SEEN), ("user", GO_ON), ("user", OPENING)}


def _apart(messages: Iterable[Comparable]) -> list[Comparable]:
    """`messages` without what only a request has: joined messages apart, and no line that fills a place."""
    return [
        (role, text, calls, answered)
        for role, content, calls, answered in messages
        for text in (content.split(BETWEEN_MESSAGES) if role == "user" else [content])
        if (role, text) not in FILLERS and (text or calls or role == "tool")
    ]


def _comparable(message: dict[str, Any]) -> Comparable:
    calls = tuple(call["id"] for call in message.get("tool_calls") or ())
    return message["role"], message.get("content") or "", calls, message.get("tool_call_id") or ""


def _as_sent(row: dict[str, Any]) -> Comparable:
    calls = tuple(call["id"] for call in row["tool_calls"] or ())
    return row["role"], row["content"], calls, row["tool_call_id"] or ""
