"""Redis only hints: without it, or with a forgetful one, the other process still shows everything, a little later."""

from __future__ import annotations

import asyncio
import re

import pytest
import redis

from tests.conftest import connected
from tests.support.conversation import PARTIAL, ended, happens, whole_log
from tests.support.held_port import held_port
from tests.support.model_replies import text
from tests.support.proxy import Proxy
from tests.support.services import redis_database
from tests.support.two_servers import POSTGRES, two_servers

WORSE_THAN_WARNING = re.compile(r" (ERROR|CRITICAL) |Traceback")


@pytest.fixture
def proxy(redis_url):
    """Redis, as something that can go away."""
    with Proxy("127.0.0.1", 6379) as proxy:
        yield proxy


def pair_with(url, folder, model):
    model.reset()
    return two_servers(POSTGRES, folder, model, environments=({"REDIS_URL": url}, {"REDIS_URL": url}))


async def converse(first, second, model, trouble):
    """A run on one process and its watcher and its end on the other, with trouble in the middle of the answer."""
    async with connected(first) as here, connected(second) as there:
        session_id = await here.create_session()
        await there.reconnect(session_id)
        model.script(answer := text("one two three", hang=1))
        run = await here.say(session_id, "count")
        await there.wait_for(PARTIAL)
        await asyncio.to_thread(trouble)
        queued = await there.say(session_id, "and then?")
        answer.gate.open()
        for client in (here, there):
            assert (await client.wait_for(ended(run.run_id))).content == "one two three"
            assert (await client.wait_for(ended(queued.run_id))).content == "You said: and then?"
        model.script(text("one two three", hang=1))
        third = await here.say(session_id, "again")
        await there.wait_for(lambda frame: frame.event == PARTIAL and frame.run_id == third.run_id)
        await there.cancel(session_id)
        assert (await here.wait_for(ended(third.run_id))).event == "agent.interrupted"
        await happens(model.requests[-1].disconnected)
    assert await whole_log(first, session_id) == await whole_log(second, session_id)


def assert_only_warned(*servers):
    for server in servers:
        assert not WORSE_THAN_WARNING.search(server.log), server.log


async def test_cut_off_in_the_middle_and_back(model, tmp_path, proxy):
    with pair_with(f"redis://127.0.0.1:{proxy.port}/{redis_database()}", tmp_path, model) as (first, second):
        await converse(first, second, model, proxy.cut)
        assert "Wake-ups cannot be sent to other processes" in first.log + second.log
        assert_only_warned(first, second)
        proxy.mend()
        await asyncio.to_thread(proxy.wait_accepted, 2)
        await converse(first, second, model, lambda: None)
        assert_only_warned(first, second)


async def test_never_there(model, tmp_path, redis_url):
    with held_port() as nobody, pair_with(f"redis://127.0.0.1:{nobody}/0", tmp_path, model) as (first, second):
        await converse(first, second, model, lambda: None)
        for server in (first, second):
            assert server.log.count("cannot be received") == 1, "once a minute is enough"
        assert_only_warned(first, second)


async def test_flushed_in_the_middle(model, tmp_path, redis_url):
    def flush():
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()

    with pair_with(redis_url, tmp_path, model) as (first, second):
        await converse(first, second, model, flush)
        assert "WARNING" not in first.log + second.log
        assert_only_warned(first, second)
