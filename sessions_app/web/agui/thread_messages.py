"""A whole conversation as a client of AG-UI holds it: the log in, messages out. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from sessions_app.web.agui.run_telling import RunTelling

Message = dict[str, Any]

MAX_SNAPSHOT_BYTES = 8 * 2**20
"""Clients take 10 MiB in one event. What is older than the newest runs of this size is left out."""


class ThreadMessages:
    """The messages of a thread: its runs, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.runs: dict[str, RunTelling] = {}

    def take(self, frame: dict[str, Any]) -> None:
        """The next event of the log."""
        run_id = frame["metadata"].get("run_id")
        if run_id is not None:
            self.runs.setdefault(run_id, RunTelling(run_id)).take(frame)

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
        kept: list[list[Message]] = []
        room = MAX_SNAPSHOT_BYTES
        for part in reversed(said):
            room -= len(orjson.dumps(part))
            if room < 0 and part is not messages:
                break
            kept.append(part)
        return [message for part in reversed(kept) for message in part]
