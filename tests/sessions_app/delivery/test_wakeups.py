"""News of other processes over a channel layer that comes and goes."""

from __future__ import annotations

import asyncio
import logging
import uuid

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer

from sessions_app.delivery import wakeups
from sessions_app.delivery.wakeups import GROUP, Wakeups
from tests.support.patience import WAIT_SECONDS
from tests.support.redis_server import RedisServer
from tests.support.services import program

SESSION = uuid.uuid4()


@pytest.fixture
def redis(tmp_path):
    with RedisServer(program("redis-server"), tmp_path) as server:
        yield server


@pytest.fixture
async def layer(redis, monkeypatch):
    layer = RedisPubSubChannelLayer(hosts=[redis.url])
    monkeypatch.setattr(wakeups, "get_channel_layer", lambda: layer)
    monkeypatch.setattr(wakeups, "RETRY_SECONDS", 0.01)
    yield layer
    async with asyncio.timeout(WAIT_SECONDS):
        await layer.flush()


@pytest.fixture
async def heard(layer):
    """What a process is told."""
    heard: asyncio.Queue = asyncio.Queue()
    listener = Wakeups(heard.put_nowait, lambda: None)
    listener.start()
    yield heard
    await listener.stop()


@pytest.fixture
async def other(layer, heard):
    """Another process."""
    other = Wakeups(lambda _grown: None, lambda: None)
    other.start()
    yield other
    await other.stop()


def channels(layer):
    return len(layer._get_layer().channels)


async def test_a_cancellation_that_is_swallowed_is_repeated(redis, layer, monkeypatch):
    """As `asyncio.wait_for` of Python 3.11 does now and then."""
    waiting, swallowed = asyncio.Event(), []

    async def receive(_channel):
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if swallowed:
                raise
            swallowed.append(True)
        return {"from": "nobody", "grown": {}}

    monkeypatch.setattr(layer, "receive", receive)
    listener = Wakeups(lambda _grown: None, lambda: None)
    listener.start()
    async with asyncio.timeout(WAIT_SECONDS):
        await waiting.wait()
        await listener.stop()
    assert swallowed


async def hear(heard, other, last_seq):
    """Say something until it is heard: the layer promises nothing."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            other.announce({SESSION: last_seq})
            try:
                async with asyncio.timeout(0.1):
                    while await heard.get() != {SESSION: last_seq}:
                        pass
                return
            except TimeoutError:
                continue


async def complaints(caplog, count):
    async with asyncio.timeout(WAIT_SECONDS):
        while sum("cannot be received" in record.message for record in caplog.records) < count:
            await asyncio.sleep(0.01)


async def test_a_layer_that_is_not_there_is_asked_for_ever_and_keeps_nothing(redis, layer, heard, other, caplog):
    caplog.set_level(logging.DEBUG, "myagent.wakeups")
    redis.kill()
    await complaints(caplog, 30)
    assert channels(layer) <= 2
    await asyncio.to_thread(redis.start)
    await hear(heard, other, 7)


async def test_what_cannot_be_understood_is_passed_over(layer, heard, other, caplog):
    caplog.set_level(logging.DEBUG, "myagent.wakeups")
    await hear(heard, other, 1)
    for _ in range(3):
        await layer.group_send(GROUP, {"type": "myagent.grown", "from": "somebody else"})
    await complaints(caplog, 2 * 3)
    await hear(heard, other, 2)
    assert channels(layer) == 2
