"""How long a question stays open in the process that asked it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from myagent.loop.host import ConfirmationRequest
from sessions_app.journal.entries.runs import AskConfirmation, LapseConfirmation
from sessions_app.runs import questions
from sessions_app.runs.questions import Questions
from tests.support.patience import WAIT_SECONDS


@pytest.fixture
async def asked(monkeypatch):
    """A question that waits for an hour, the entries that were recorded, and its decision."""
    monkeypatch.setattr(questions, "CLOCK_CHECK_SECONDS", 0.01)
    recorded = []

    async def record(entry):
        recorded.append(entry)

    fields = {"session_id": uuid.uuid4(), "of_run": uuid.uuid4(), "epoch": 1}
    open_questions = Questions(SimpleNamespace(record=record, fields=fields))
    called = {"call_id": "c", "call_step_id": "call", "tool_name": "write", "tool_description": "", "tool_args": {}}
    request = ConfirmationRequest(question="Really?", timeout=3600, starts_call=True, **called)
    decision = asyncio.create_task(open_questions.ask(request))
    while not recorded:
        await asyncio.sleep(0)
    yield open_questions, recorded, decision
    decision.cancel()
    await asyncio.gather(decision, return_exceptions=True)


async def test_it_lapses_when_the_clock_says_so_although_the_machine_slept(asked, monkeypatch):
    _, recorded, decision = asked
    done, _ = await asyncio.wait([decision], timeout=0.05)
    assert not done
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(hours=2))
    async with asyncio.timeout(WAIT_SECONDS):
        assert not (await decision).confirmed
    assert [type(entry) for entry in recorded] == [AskConfirmation, LapseConfirmation]


async def test_an_answer_ends_the_wait(asked):
    open_questions, recorded, decision = asked
    open_questions.answered(recorded[0].step_id, {"confirmed": True})
    async with asyncio.timeout(WAIT_SECONDS):
        assert (await decision).confirmed
    assert [type(entry) for entry in recorded] == [AskConfirmation]
