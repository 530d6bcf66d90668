"""Reading from threads while the database is away."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid

import pytest
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError

from agents.database import limits, threads
from agents.database.threads import NoAnswer, in_thread, in_thread_patiently
from sessions_app import queries
from sessions_app.journal.entry import RunRef
from sessions_app.queries import Conversation
from sessions_app.runs.history_cache import RecentConversations

# A database thread looks at the connections that earlier tests left it before each call.
pytestmark = pytest.mark.django_db(transaction=True)


def failing(*errors):
    """A function that raises these, one at each call, and then answers."""
    left = list(errors)

    def read(*_args, **_kwargs):
        if left:
            raise left.pop(0)
        return Conversation([], {}, "read")

    return read


async def test_what_can_wait_waits_for_a_database_that_is_away():
    read = failing(OperationalError("server closed the connection"), InterfaceError("connection already closed"))
    assert (await in_thread_patiently(read)).username == "read"


def internal(state):
    """An internal error of PostgreSQL, as Django hands it on."""
    error = InternalError("said the driver")
    error.__cause__ = type("DriverError", (Exception,), {"sqlstate": state})()
    return error


async def test_what_only_looks_like_damage_is_waited_for():
    read = failing(internal("25P03"), internal("25006"))
    assert (await in_thread_patiently(read)).username == "read"


@pytest.mark.parametrize(
    "error", [ProgrammingError("no such column"), internal("XX001"), InternalError("of no driver")], ids=repr
)
async def test_a_mistake_is_not_waited_for(error):
    with pytest.raises(type(error)):
        await in_thread_patiently(failing(error))


async def test_a_run_reads_its_history_when_the_database_is_back(monkeypatch):
    monkeypatch.setattr(queries, "conversation", failing(OperationalError("server closed the connection")))
    ref = RunRef(uuid.uuid4(), uuid.uuid4(), 1)
    assert (await RecentConversations().conversation(ref, None, summarized=False)).username == "read"


async def test_a_call_that_waits_for_a_database_that_hangs_is_told(monkeypatch):
    monkeypatch.setattr(threads, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(threads, "LOOK_SECONDS", 0.02)
    hanging, gate = threading.Event(), threading.Event()

    def hang():
        hanging.set()
        gate.wait(10)

    call = asyncio.create_task(in_thread(hang))
    while not hanging.is_set():
        await asyncio.sleep(0.01)
    done, _ = await asyncio.wait({call}, timeout=0.3)
    assert not done, "no connection waits: this machine is slow, or the call is"
    monkeypatch.setitem(limits.waits, 1, time.monotonic())
    with pytest.raises(NoAnswer):
        await call
    with pytest.raises(OperationalError):
        await in_thread(gate.wait, 10)
    gate.set()
    limits.waits.clear()
    assert await in_thread(lambda: "back") == "back"


async def test_a_slow_query_among_others_that_are_answered_is_waited_for(monkeypatch):
    monkeypatch.setattr(threads, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(threads, "LOOK_SECONDS", 0.02)
    monkeypatch.setitem(limits.waits, 1, 0.0)
    gate = threading.Event()
    slow = asyncio.create_task(in_thread(gate.wait, 10))
    for _ in range(30):
        await in_thread(lambda: None)
        await asyncio.sleep(0.02)
    assert not slow.done()
    gate.set()
    assert await slow
