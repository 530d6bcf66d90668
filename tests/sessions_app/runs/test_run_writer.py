"""How the entries of a run wait for each other, without a database."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from sessions_app.journal.entries.runs import LogEvents
from sessions_app.journal.entry import RunRef
from sessions_app.journal.refusal import Refused
from sessions_app.runs.run_writer import RunWriter


class SlowJournal:
    """Keeps the outcomes of what is submitted open until the test settles them."""

    def __init__(self):
        self.outcomes = []

    def offer(self, entry):
        self.outcomes.append(asyncio.get_running_loop().create_future())
        return self.outcomes[-1]

    async def submit(self, entry):
        return self.offer(entry)


@pytest.fixture
def journal():
    return SlowJournal()


@pytest.fixture
def writer(journal):
    return RunWriter(journal, RunRef(uuid.uuid4(), uuid.uuid4(), 1))


@pytest.fixture
def entry(writer):
    return LogEvents(**writer.fields, events=())


async def test_a_commit_does_not_wait_for_what_others_submit_behind_it(writer, journal, entry):
    recording = asyncio.create_task(writer.record(entry))
    await asyncio.sleep(0)
    # The result of a call that runs beside the one that asks.
    await writer.submit(entry)
    journal.outcomes[0].set_result("mine")
    assert await recording == "mine"
    assert not journal.outcomes[1].done()


async def test_a_commit_says_that_something_before_it_was_refused(writer, journal, entry):
    await writer.submit(entry)
    recording = asyncio.create_task(writer.record(entry))
    await asyncio.sleep(0)
    journal.outcomes[1].set_result("mine")
    journal.outcomes[0].set_exception(Refused("stale_run"))
    with pytest.raises(Refused):
        await recording


async def test_a_commit_does_not_ask_again_for_what_is_committed(writer, journal, entry):
    await writer.submit(entry)
    journal.outcomes[0].set_result("earlier")
    await writer.submit(entry)
    assert writer._unconfirmed == journal.outcomes[1:]


async def test_after_it_forgot_what_was_refused_a_commit_succeeds(writer, journal, entry):
    await writer.submit(entry)
    journal.outcomes[0].set_exception(Refused("stale_run"))
    writer.forget_unconfirmed()
    recording = asyncio.create_task(writer.record(entry))
    await asyncio.sleep(0)
    journal.outcomes[1].set_result("mine")
    assert await recording == "mine"
    with pytest.raises(Refused):
        journal.outcomes[0].result()


async def test_what_is_offered_is_waited_for_too(writer, journal, entry):
    offered = writer.offer(entry)
    recording = asyncio.create_task(writer.record(entry))
    await asyncio.sleep(0)
    journal.outcomes[1].set_result("mine")
    offered.set_exception(Refused("stale_run"))
    with pytest.raises(Refused):
        await recording
