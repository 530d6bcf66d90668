"""How a driver waits for the journal, without a database: the rest of it is tested through a server."""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import UTC, datetime

import pytest

from agents.loading.registry import LoadedAgent
from myagent import create_react_agent
from myagent.testing import ScriptedLLM
from sessions_app.journal.batch import Refused
from sessions_app.journal.entries.runs import LogEvents
from sessions_app.journal.entry import RunRef
from sessions_app.queries import SessionGone
from sessions_app.runs.driver import Equipment, RunDriver


class SlowJournal:
    """Keeps the outcomes of what is submitted open until the test settles them."""

    def __init__(self):
        self.outcomes = []

    async def submit(self, entry):
        self.outcomes.append(asyncio.get_running_loop().create_future())
        return self.outcomes[-1]


@pytest.fixture
def journal():
    return SlowJournal()


@pytest.fixture
async def driver(journal):
    equipment = Equipment(journal=journal, tool_loops=None, recent=None, delta_interval=0.04, max_output_bytes=1024)
    agent = create_react_agent(name="a", description="d", tools=[])
    loaded = LoadedAgent(agent=agent, source="a.py", loaded_at=datetime.now(UTC))
    return RunDriver(RunRef(uuid.uuid4(), uuid.uuid4(), 1), loaded, ScriptedLLM([]), equipment)


@pytest.fixture
def entry(driver):
    return LogEvents(**driver._mine, events=())


async def test_a_commit_does_not_wait_for_what_others_submit_behind_it(driver, journal, entry):
    recording = asyncio.create_task(driver._record(entry))
    await asyncio.sleep(0)
    # The result of a call that runs beside the one that asks.
    await driver._submit(entry)
    journal.outcomes[0].set_result("mine")
    assert await recording == "mine"
    assert not journal.outcomes[1].done()


async def test_a_commit_says_that_something_before_it_was_refused(driver, journal, entry):
    await driver._submit(entry)
    recording = asyncio.create_task(driver._record(entry))
    await asyncio.sleep(0)
    journal.outcomes[1].set_result("mine")
    journal.outcomes[0].set_exception(Refused("stale_run"))
    with pytest.raises(Refused):
        await recording


async def test_a_run_whose_session_is_gone_before_it_was_read_is_let_go(driver, journal, monkeypatch, caplog):
    class Gone:
        async def conversation(self, ref, message, *, summarized):
            raise SessionGone

    monkeypatch.setattr(driver, "_recent", Gone())
    with caplog.at_level(logging.INFO):
        await driver.drive()
    assert journal.outcomes == []
    (said,) = [record for record in caplog.records if record.name == "myagent.runner"]
    assert said.levelno == logging.INFO and "is not ours any more" in said.getMessage()
