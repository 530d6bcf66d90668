"""A driver without a database: all else is tested through a server."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime

import pytest

from agents.loading.registry import LoadedAgent
from myagent import create_react_agent
from myagent.testing import ScriptedLLM
from sessions_app.delivery.hub import Hub
from sessions_app.journal.entry import RunRef
from sessions_app.queries import SessionGone
from sessions_app.runs.driver import RunDriver
from sessions_app.runs.driver_dependencies import DriverDependencies


class Journal:
    """Notes what is submitted; nothing should be."""

    def __init__(self):
        self.entries = []

    async def submit(self, entry):
        self.entries.append(entry)
        raise AssertionError(entry)


class Gone:
    """The histories of sessions that were deleted."""

    async def conversation(self, ref, message, *, summarized):
        raise SessionGone


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
async def driver(journal):
    dependencies = DriverDependencies(
        journal=journal, tool_runner=None, recent=Gone(), tell=Hub().tell, delta_interval=0.04, max_output_bytes=1024
    )
    agent = create_react_agent(name="a", description="d", tools=[])
    loaded = LoadedAgent(agent=agent, source="a.py", loaded_at=datetime.now(UTC))
    return RunDriver(RunRef(uuid.uuid4(), uuid.uuid4(), 1), loaded, ScriptedLLM([]), dependencies)


async def test_a_run_whose_session_is_gone_before_it_was_read_is_let_go(driver, journal, caplog):
    with caplog.at_level(logging.INFO):
        await driver.drive()
    assert journal.entries == []
    (said,) = [record for record in caplog.records if record.name == "myagent.runner"]
    assert said.levelno == logging.INFO and "is no longer ours" in said.getMessage()
