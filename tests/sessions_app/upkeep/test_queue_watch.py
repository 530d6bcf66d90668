"""How often it is looked at who waits for a place: the longer the work of a look takes, the more seldom."""

import asyncio
import threading
import time
import uuid

import pytest

from agents.database.threads import THREADS, in_thread
from sessions_app.delivery.hub import Hub
from sessions_app.run_queue import Place
from sessions_app.upkeep import queue_watch
from sessions_app.upkeep.queue_watch import QueueWatch
from tests.support import entries as e
from tests.support.patience import WAIT_SECONDS

pytestmark = e.database
WORK_SECONDS = 0.05


class Waiter:
    """A connection that follows one session, and notes when it is told a place."""

    def __init__(self):
        self.told_at = []

    def tell_place(self, session_id, place):
        self.told_at.append(time.monotonic())


@pytest.fixture
def waiter():
    return Waiter()


@pytest.fixture
def watch(waiter):
    hub = Hub()
    hub.attach(uuid.uuid4(), waiter)
    return QueueWatch(hub)


def takes(seconds, monkeypatch):
    def places(attached, agents):
        time.sleep(seconds)
        return {session_id: Place(uuid.uuid4(), 1) for session_id in attached}

    monkeypatch.setattr(queue_watch, "places_of", places)


async def looks(watch, waiter, times):
    """Look again and again until the waiter was told so often."""
    async with asyncio.timeout(WAIT_SECONDS):
        while len(waiter.told_at) < times:
            await watch.look()
            await asyncio.sleep(0.001)


async def test_a_look_that_takes_long_makes_the_next_one_late(watch, waiter, monkeypatch):
    takes(WORK_SECONDS, monkeypatch)
    await looks(watch, waiter, 2)
    first, second = waiter.told_at
    assert second - first > 10 * WORK_SECONDS


class Clock:
    """In place of the module's `time`: it goes on when a test says so, however busy the machine is."""

    now = 0.0

    def monotonic(self):
        return self.now


async def test_one_that_had_to_wait_for_a_thread_does_not(watch, waiter, monkeypatch):
    takes(0, monkeypatch)
    monkeypatch.setattr(queue_watch, "time", clock := Clock())
    gate = threading.Event()
    others = [asyncio.create_task(in_thread(gate.wait)) for _ in range(THREADS)]
    looking = asyncio.create_task(watch.look())
    await asyncio.sleep(WORK_SECONDS)  # all threads are taken meanwhile
    assert not waiter.told_at
    clock.now += 60
    gate.set()
    await asyncio.gather(looking, *others)
    await watch.look()
    assert len(waiter.told_at) == 2
