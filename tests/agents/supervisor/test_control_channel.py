from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from agents.supervisor.control_channel import MOST_WAITING, ControlChannel
from tests.support.patience import WAIT_SECONDS


class End:
    """One end, and what it was told."""

    def __init__(self, sock):
        self.socket = sock
        self.heard: asyncio.Queue = asyncio.Queue()
        self.channel = ControlChannel(sock, self.heard.put_nowait)

    def open(self):
        self.channel.open(asyncio.get_running_loop())

    async def next(self):
        async with asyncio.timeout(WAIT_SECONDS):
            return await self.heard.get()


@pytest.fixture
async def ends():
    ends = [End(sock) for sock in socket.socketpair()]
    ends[0].open()
    yield ends
    for end in ends:
        end.channel.close()


async def test_messages_come_in_order_and_wakeups_are_merged(ends):
    here, there = ends
    there.open()
    here.channel.send("ready")
    here.channel.wake({"a": 1})  # alone, so that nobody waits for it
    for number in range(2, 50):
        here.channel.wake({"a": number, "b": 50 - number})
    here.channel.wake({"a": 7, "c": -1})
    here.channel.wake({"c": 3})
    assert await there.next() == {"is": "ready"}
    assert await there.next() == {"is": "grown", "grown": {"a": 1}, "more": False}
    assert await there.next() == {"is": "grown", "grown": {"a": 49, "b": 48, "c": 3}, "more": False}
    there.channel.wake({"d": 5}, more=True)
    assert await here.next() == {"is": "grown", "grown": {"d": 5}, "more": True}


async def test_one_that_does_not_read_costs_little_and_is_told_later(ends):
    here, there = ends
    for number in range(20 * MOST_WAITING):
        here.channel.wake({f"session {number % (2 * MOST_WAITING)}": number})
        here.channel.beat()
        if number % 100 == 0:
            await asyncio.sleep(0.0001)
    assert len(here.channel._grown) <= MOST_WAITING
    assert len(here.channel._unsent) < 64 * 1024
    here.channel.send("stop")
    there.open()
    heard = {}
    had_more = False
    messages = []
    while here.channel._grown or here.channel._unsent or not there.heard.empty():
        messages.append(await there.next())
    messages += [await there.next()] if not messages else []
    for message in messages:
        if message["is"] == "grown":
            heard |= message["grown"]
            had_more |= message["more"]
    assert had_more, "what was not named is owned up to"
    assert {"is": "stop"} in messages
    newest = 20 * MOST_WAITING - 1
    assert heard[f"session {newest % (2 * MOST_WAITING)}"] == newest


async def test_nonsense_is_logged_and_does_no_harm(ends, caplog):
    here, there = ends
    with caplog.at_level(logging.ERROR, "myagent.server"):
        there.socket.send(b"\xff not ours\n[]\n")
        there.open()
        there.channel.send("ready")
        assert await here.next() == []
        assert await here.next() == {"is": "ready"}
    assert "cannot be used" in caplog.text


@pytest.mark.parametrize("end", ["closed", "a line without an end"])
async def test_the_other_end_is_gone(ends, end):
    here, there = ends
    if end == "closed":
        there.socket.close()
    else:
        there.socket.setblocking(False)
        async with asyncio.timeout(WAIT_SECONDS):
            while here.channel._loop is not None:
                try:
                    there.socket.send(b"x" * 1024)
                except BlockingIOError:
                    await asyncio.sleep(0)
    async with asyncio.timeout(WAIT_SECONDS):
        while here.channel._loop is not None:
            await asyncio.sleep(0.001)
    here.channel.send("alive")
    here.channel.wake({"a": 1})
    here.channel.close()
