"""PostgreSQL hangs under a running server: its kernel accepts whatever is sent, and nothing answers."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, ended, refusal, text_of, turn, whole_log
from tests.support.model_replies import text
from tests.support.patience import within
from tests.support.proxy import Proxy
from tests.support.two_servers import POSTGRES, two_servers

pytestmark = pytest.mark.slow

SETTINGS = {"HEARTBEAT_SECONDS": 1, "DRAIN_SECONDS": 1, "LEASE_SECONDS": 2}
IS_AWAY = "❌ The database is unavailable"
PROMPTLY = 3 + 6
"""Seconds: three, and what this machine may be slower."""
PAGE = "/admin/sessions_app/session/"


@pytest.fixture
def proxy(postgres_url):
    place = urlsplit(postgres_url)
    with Proxy(place.hostname, place.port or 5432) as proxy:
        yield proxy


def through(proxy, url):
    """What a server is told that finds the same database behind the proxy."""
    place = urlsplit(url)
    return {"DATABASE_URL": place._replace(netloc=f"{place.username}@127.0.0.1:{proxy.port}").geturl()}


@pytest.fixture
def server(postgres_url, proxy, model, tmp_path):
    model.reset()
    environment = through(proxy, postgres_url)
    with AgentServer(tmp_path, "tools.py", model=model, settings=SETTINGS, environment=environment) as server:
        yield server


def get(server, path, **headers):
    """Status and content of a page."""
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def browser(server):
    """The cookie of somebody who may see the admin."""
    made = server.manage(
        "shell",
        "-c",
        "from django.contrib.auth.models import User; from django.test import Client; client = Client();"
        "client.force_login(User.objects.create_superuser('boss')); print('key:' + client.cookies['sessionid'].value)",
    )
    return "sessionid=" + made.rpartition("key:")[2].strip()


async def test_frozen_in_the_middle_of_an_answer(server, proxy, model):
    model.script(answer := text("one two three four", hang=2))
    cookie = await asyncio.to_thread(browser, server)
    assert (await asyncio.to_thread(get, server, PAGE, Cookie=cookie))[0] == 200
    async with connected(server) as client, connected(server) as other:
        session_id = await client.create_session()
        run = await client.say(session_id, "count")
        frames = await client.until(lambda frame: frame.event == PARTIAL and frame.content.endswith("two "))
        assert (await asyncio.to_thread(get, server, "/readyz"))[0] == 200
        await asyncio.to_thread(proxy.freeze)
        answer.gate.open()
        with within(PROMPTLY):
            refused = await refusal(client, {"event": "user.message", "session_id": session_id, "content": "now?"})
        assert (refused.code, "maybe_stored" in refused.metadata) == ("try_again", False), refused
        with within(PROMPTLY):
            refused = await refusal(other, {"event": "user.reconnect", "session_id": session_id})
        assert refused.code == "try_again", refused
        await asyncio.to_thread(server.wait_log, IS_AWAY)
        assert await asyncio.to_thread(get, server, "/healthz") == (200, '{"status": "ok"}')
        assert (await asyncio.to_thread(get, server, "/readyz"))[0] == 503
        for path in ("/api/agents/", PAGE):
            with within(PROMPTLY):
                status, words = await asyncio.to_thread(get, server, path, Cookie=cookie)
            assert (status, "does not answer" in words) == (503, True), words
        await other.wait_for("system.heartbeat")
        await asyncio.to_thread(proxy.thaw)
        frames += await client.until(ended(run.run_id))
        assert (await turn(client, session_id, "back"))[-1].content == "You said: back"
        assert (await asyncio.to_thread(get, server, "/readyz"))[0] == 200
    log = await whole_log(server, session_id)
    assert text_of(frames) == "one two three four"
    assert [frame.content for frame in log if frame.event == "user.message"] == ["count", "back"]
    assert server.log.count("❌") == 1
    assert "Traceback" not in server.log and " ERROR " not in server.log, server.log


async def test_a_server_whose_database_hangs_can_be_stopped(server, proxy):
    async with connected(server) as client:
        await client.say(await client.create_session(), "tokens:1000 delay:20")
        await client.wait_for(PARTIAL)
        await asyncio.to_thread(proxy.freeze)
        server.terminate()
        with within(SETTINGS["DRAIN_SECONDS"] + 10):
            assert await asyncio.to_thread(server.wait_exit) == 0


async def test_a_start_whose_database_hangs_says_so(server, proxy):
    server.stop()
    await asyncio.to_thread(proxy.freeze)
    with within(60):
        said = await asyncio.to_thread(server.manage, "runagent", "tests/support/agent_files/brief.py", code=1)
    assert len(said.splitlines()) == 2 and said.startswith("❌ "), said


async def test_another_process_takes_the_runs_over(postgres_url, proxy, model, tmp_path):
    model.reset()
    model.script(text("one two three", hang=1))
    model.script(text("one two three"))
    environments = (through(proxy, postgres_url), {"DATABASE_URL": postgres_url})
    with two_servers(POSTGRES, tmp_path, model, settings=SETTINGS, environments=environments) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            run = await here.say(session_id, "count")
            await here.wait_for(PARTIAL)
            await there.reconnect(session_id)
            await asyncio.to_thread(proxy.freeze)
            assert (await there.wait_for(ended(run.run_id))).content == "one two three"
            await asyncio.to_thread(proxy.thaw)
            assert (await here.wait_for(ended(run.run_id))).content == "one two three"
        log = await whole_log(second, session_id)
        assert [frame.event for frame in log if frame.ends_run] == ["agent.final_answer"]


async def test_a_slow_database_is_no_outage(server, proxy):
    async with connected(server) as client:
        session_id = await client.create_session()
        proxy.slow(0.02)
        assert (await turn(client, session_id, "hi"))[-1].content == "You said: hi"
        assert (await asyncio.to_thread(get, server, "/readyz"))[0] == 200
        proxy.slow(0)
    assert "❌" not in server.log
