"""What becomes of a request whose client leaves while it is stored; all else is tested in `tests/server`."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from agents.access.decision import Grant
from agents.conf import Config
from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent, Registry, set_registry
from myagent import create_react_agent
from myagent.protocol.codec import parse_frame
from sessions_app.connection import requests
from sessions_app.connection.requester import Requester
from sessions_app.delivery.hub import Hub
from sessions_app.delivery.pump import Pump
from sessions_app.journal import commit as journal_module
from sessions_app.journal.writer import Journal
from sessions_app.upkeep.memory_watch import MemoryWatch
from tests.support.entries import LEASE, call_of, commit, commit_one, new_session, question, reply, running, threads

pytestmark = threads


class Runner:
    """Notes what it is told."""

    def __init__(self):
        self.told = []
        self.places = SimpleNamespace(for_message=lambda session_id, agent: nullcontext(LEASE))

    def launch(self, ref, agent, *, message):
        self.told.append(("launch", ref.run_id, message.text))

    def stop_runs(self, run_ids):
        self.told += [("stop", run_id) for run_id in run_ids]

    def answered(self, run_id, step_id, answer):
        self.told.append(("answered", run_id, answer["confirmed"]))


class Allowances:
    def may_limit(self, agent):
        return False


class Engine:
    """What requests need of the engine."""

    def __init__(self, journal):
        self.config, self.journal, self.runner, self.allowances = Config(), journal, Runner(), Allowances()
        self.memory_watch = MemoryWatch(None)


@pytest.fixture
async def engine():
    loaded = LoadedAgent(agent=create_react_agent(name="tester"), source="tester", loaded_at=datetime.now(UTC))
    before = set_registry(Registry([loaded]))
    journal = Journal(asyncio.get_running_loop(), lambda committed: None)
    journal.start()
    yield Engine(journal)
    await journal.stop()
    set_registry(before)


@pytest.fixture
def leaving(engine, monkeypatch):
    """Makes a request whose handler is cancelled while its entry is written, as it is when its client has long left."""
    begun, gate = threading.Event(), threading.Event()
    write = journal_module._write

    def held(*arguments):
        begun.set()
        assert gate.wait(10)
        return write(*arguments)

    async def leave(request, session_id, **fields):
        monkeypatch.setattr(journal_module, "_write", held)
        pump = Pump("c", Hub(), None, engine.config)
        client = Requester(connection_id="c", grant=Grant(kind="anonymous"), agent="tester", pump=pump)
        event = parse_frame(json.dumps({"session_id": str(session_id), **fields}))
        handler = asyncio.create_task(request(engine, client, event))
        await asyncio.to_thread(begun.wait, 10)
        handler.cancel()
        with suppress(asyncio.CancelledError):
            await handler
        told_before = list(engine.runner.told)
        gate.set()
        await engine.journal.stop()
        await asyncio.sleep(0)
        assert handler.cancelled() and told_before == []
        return engine.runner.told

    return leave


async def test_a_message_is_answered(leaving):
    session_id = await in_thread(new_session)
    told = await leaving(requests.post_message, session_id, event="user.message", content="hi")
    assert [(what, text) for what, _, text in told] == [("launch", "hi")]


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("user.cancel", requests.cancel),
        ("user.close_session", requests.close_session),
        ("user.delete_session", requests.delete_session),
    ],
)
async def test_what_was_ended_costs_nothing_more(leaving, name, request_):
    session_id = await in_thread(new_session)
    ref = await in_thread(running, session_id)
    assert await leaving(request_, session_id, event=name) == [("stop", ref.run_id)]


async def test_an_answer_reaches_its_run(leaving):
    session_id, ref, asked = await in_thread(_a_question)
    told = await leaving(
        requests.respond, session_id, event="user.response", step_id=asked.step_id, content={"confirmed": True}
    )
    assert told == [("answered", ref.run_id, True)]


def _a_question():
    session_id = new_session()
    ref = running(session_id)
    commit(reply(ref, call := call_of(waits=True)))
    commit_one(asked := question(ref, call))
    return session_id, ref, asked
