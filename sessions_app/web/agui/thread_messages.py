"""A whole conversation as a client of AG-UI holds it: the log in, messages out. Pure."""

from __future__ import annotations

from typing import Any

from sessions_app.web.agui.run_telling import RunTelling
from sessions_app.web.newest_runs import Message, NewestRuns, newest


class ThreadMessages:
    """The messages of a thread: its runs, in the order in which they were asked for. Of a long one the newest, and
    that of this id.
    """

    def __init__(self, run_id: str | None = None) -> None:
        self.runs: dict[str, RunTelling] = {}
        self._newest = NewestRuns(run_id)

    def take(self, frame: dict[str, Any]) -> None:
        """The next event of the log."""
        run_id = frame["metadata"].get("run_id")
        if run_id is None or self._newest.has_forgotten(run_id):
            return
        self.runs.setdefault(run_id, RunTelling(run_id)).take(frame)
        for old in self._newest.take(run_id, frame):
            del self.runs[old]

    @property
    def current(self) -> RunTelling | None:
        """The run that is going or that is next, else the last one."""
        runs = list(self.runs.values())
        return next((run for run in runs if run.end is None), runs[-1] if runs else None)

    def around(self, run_id: str, messages: list[Message]) -> list[Message]:
        """The conversation, with these messages as those of that run."""
        said = [messages if key == run_id else run.messages for key, run in self.runs.items()]
        if run_id not in self.runs:
            said.append(messages)
        return newest(said, always=messages)
