"""The end of a round: what clients saw, the log, the history, the tools' effects and the model's record must agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.faults.conversations import Conversations
from tests.faults.history_checker import HistoryChecker
from tests.faults.log_checker import LogChecker
from tests.faults.model import Asked
from tests.faults.model_checker import ModelChecker
from tests.faults.session_checker import SessionChecker
from tests.faults.span_checker import SpanChecker
from tests.faults.stored import Stored
from tests.faults.view import View


def effects_in(path: Path) -> Counter[str]:
    """How often each call took effect, by its key."""
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(json.loads(line)["key"] for line in lines)


def check_all(
    stored: Stored, conversations: Conversations, views: Iterable[View], asked: list[Asked], effects: Counter[str]
) -> list[str]:
    """Everything that is wrong, in words."""
    problems = [*conversations.problems, *_check_promises(stored, conversations)]
    for session_id in stored.logs:
        problems += LogChecker(session_id, stored).check()
        problems += HistoryChecker(session_id, stored, effects).check()
    for view in views:
        for session_id in view.frames:
            if session_id in stored.sessions or not conversations.is_excused(session_id):
                view.compare(session_id, stored.frames.get(session_id, {}))
        view.check_holes(stored.frames)
        problems += view.problems
    problems += SessionChecker(stored, conversations).check()
    problems += SpanChecker(asked, stored).check()
    return [*problems, *ModelChecker(asked, stored, conversations).check()]


def _check_promises(stored: Stored, conversations: Conversations) -> list[str]:
    """What was accepted is stored, once; what counts as an answer was given by somebody."""
    problems = []
    for token, run_id in conversations.run_of.items():
        run = stored.by_token.get(token)
        session_id = conversations.session_of[token]
        if run is None and session_id not in stored.sessions and conversations.is_excused(session_id):
            continue
        if run is None or run.id != run_id:
            problems.append(f"message {token} (session {session_id}) was accepted as run {run_id}, stored is {run}")
    tokens = Counter(run.plan.token for run in stored.runs.values())
    problems += [f"message {token} is stored {count} times" for token, count in tokens.items() if count > 1]
    for session_id, log in stored.logs.items():
        for frame in log:
            if frame.event == "user.response" and frame.content["confirmed"] not in conversations.answers.get(
                frame.step_id or "", []
            ):
                problems.append(f"session {session_id}, seq {frame.seq}: nobody gave the answer {frame.content}")
    return problems
