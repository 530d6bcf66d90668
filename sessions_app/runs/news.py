"""What other processes did to the runs of this one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping

from agents.database.threads import in_thread
from sessions_app import queries
from sessions_app.runs.driver import RunDriver


async def hear_news(drivers: Mapping[uuid.UUID, RunDriver], stop_runs: Callable[[Iterable[uuid.UUID]], None]) -> None:
    """Read from the database what became of these runs: an end, an answer to a question, a message."""
    ours = {run_id: driver.ref.epoch for run_id, driver in drivers.items()}
    if not ours:
        return
    news = await in_thread(queries.run_news, list(ours))
    for run_id, epoch in ours.items():
        about, driver = news.get(run_id), drivers.get(run_id)
        # A process that ends the run of another one raises its epoch. A run that ended with our epoch was ended by us,
        # and its driver is about to learn it.
        if about is None or about.epoch != epoch:
            stop_runs([run_id])
        elif driver is not None:
            for step_id, answer in about.answers.items():
                driver.answered(step_id, answer)
            if about.is_steered:
                driver.host.steered()
