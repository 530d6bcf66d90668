"""PostgreSQL goes away under a running server and comes back: nothing is lost, doubled, or shown before it is kept."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest

from myagent.client import ConnectionLost
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, ended, refusal, text_of, turn, whole_log
from tests.support.model_replies import text
from tests.support.proxy import Proxy
from tests.support.services import ask_postgres, libpq
from tests.support.two_servers import POSTGRES, two_servers

pytestmark = pytest.mark.slow

LOCK_SECONDS = 40
IS_AWAY = "The database is unavailable"
SWEEP_FAILED = "retrying in 1 s"
IS_BACK = "The database answers again"


@pytest.fixture
def proxies(postgres_url):
    """Two ways to the database, each of which can be cut."""
    place = urlsplit(postgres_url)
    with Proxy(place.hostname, place.port or 5432) as first, Proxy(place.hostname, place.port or 5432) as second:
        yield first, second


@pytest.fixture
def proxy(proxies):
    return proxies[0]


def through(proxy, url):
    """The URL of the same database behind the proxy."""
    place = urlsplit(url)
    return place._replace(netloc=f"{place.username}@127.0.0.1:{proxy.port}").geturl()


@pytest.fixture
def server(postgres_url, proxy, model, tmp_path):
    model.reset()
    url = through(proxy, postgres_url)
    with AgentServer(tmp_path, "tools.py", model=model, environment={"DATABASE_URL": url}) as server:
        yield server


def backends(url):
    """The connections to this database, but for the one that asks."""
    counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return ask_postgres(url, counted)[0][0]


def end_backends(url):
    """What a restart of PostgreSQL does to its clients."""
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert ask_postgres(url, end)


async def test_away_in_the_middle_of_an_answer(server, proxy, model):
    model.script(answer := text("one two three four", hang=2))
    async with connected(server) as client, connected(server) as other:
        session_id = await client.create_session()
        run = await client.say(session_id, "count")
        frames = await client.until(lambda frame: frame.event == PARTIAL and frame.content.endswith("two "))
        await asyncio.to_thread(proxy.cut)
        answer.gate.open()
        await asyncio.to_thread(server.wait_log, IS_AWAY)
        for event in (
            {"event": "user.message", "session_id": session_id, "content": "now?"},
            {"event": "user.create_session"},
            {"event": "user.cancel", "session_id": session_id},
        ):
            refused = await refusal(client, event)
            assert refused.code == "try_again", refused
        for event in ({"event": "user.reconnect", "session_id": session_id}, {"event": "user.list_sessions"}):
            refused = await refusal(other, event)
            assert refused.code == "try_again", refused
        with pytest.raises(ConnectionLost) as lost:
            async with connected(server):
                pass
        assert (lost.value.close_code, lost.value.reason) == (1012, "try_again")
        await asyncio.to_thread(proxy.mend)
        frames += await client.until(ended(run.run_id))
        frames = [frame for frame in frames if frame.seq is not None]
        assert (await turn(client, session_id, "back"))[-1].content == "You said: back"
        await other.reconnect(session_id)
        assert (await other.wait_for(ended(run.run_id))).content == "one two three four"
    log = await whole_log(server, session_id)
    assert frames == [frame for frame in log if frame in frames] and len(frames) == frames[-1].seq - 2
    assert text_of(frames) == "one two three four"
    assert IS_BACK in server.log
    assert "Traceback" not in server.log and " ERROR " not in server.log, server.log


async def test_restarted_in_the_middle_of_answers(server, postgres_url):
    async with connected(server) as client:
        sessions = [await client.create_session() for _ in range(5)]
        for session_id in sessions:
            await client.say(session_id, "tokens:200 delay:5")
        frames = await client.until(PARTIAL)
        while len([frame for frame in frames if frame.ends_run]) < len(sessions):
            if len(frames) % 20 == 0 and len(frames) < 200:
                await asyncio.to_thread(end_backends, postgres_url)
            frames.append(await client.wait_for(lambda frame: True))
        for session_id in sessions:
            shown = [frame for frame in frames if frame.session_id == session_id and frame.seq is not None]
            log = await whole_log(server, session_id)
            assert shown == log[-len(shown) :] and log[-1].event == "agent.final_answer"
            assert text_of(log) == log[-1].content
    assert " ERROR " not in server.log, server.log


async def test_broken_connections_in_the_pool_are_nobodys_problem(server, postgres_url):
    async with connected(server) as client:
        session_id = await client.create_session()
        for _ in range(3):
            await asyncio.gather(*(client.request({"event": "user.list_sessions"}) for _ in range(8)))
            await asyncio.to_thread(end_backends, postgres_url)
            async with connected(server) as other:
                assert (await other.reconnect(session_id)).run_status == "idle"
            assert (await turn(client, session_id, "hi"))[-1].content == "You said: hi"
    assert " ERROR " not in server.log, server.log


async def test_leases_that_ran_out_while_it_was_away_are_renewed_first(postgres_url, proxies, model, tmp_path):
    model.reset()
    model.script(answer := text("one two three", hang=1))
    environments = tuple({"DATABASE_URL": through(proxy, postgres_url)} for proxy in proxies)
    settings = {"LEASE_SECONDS": 10}
    with two_servers(POSTGRES, tmp_path, model, settings=settings, environments=environments) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            run = await here.say(session_id, "count")
            await here.wait_for(PARTIAL)
            for proxy in proxies:
                await asyncio.to_thread(proxy.cut)
            await asyncio.to_thread(first.wait_log, IS_AWAY)
            for _ in range(2):
                await asyncio.to_thread(second.wait_log, SWEEP_FAILED)
                second.forget_log()
            await asyncio.to_thread(lapse, postgres_url)
            # The one that does not own the run finds the database first.
            await asyncio.to_thread(proxies[1].mend)
            other = await there.create_session()
            assert (await turn(there, other, "hi"))[-1].content == "You said: hi"
            await asyncio.to_thread(proxies[0].mend)
            answer.gate.open()
            assert (await here.wait_for(ended(run.run_id))).content == "one two three"
        log = await whole_log(second, session_id)
        assert [frame.event for frame in log if frame.ends_run] == ["agent.final_answer"]


def lapse(url):
    ask_postgres(url, "UPDATE sessions_app_run SET lease_until = now() - interval '1 minute' WHERE owner <> ''")


async def test_a_server_that_freezes_in_a_transaction_does_not_stop_the_others(server, postgres_url):
    async with connected(server) as client:
        session_id = await client.create_session()
        with row_lock(postgres_url, session_id):
            saying = asyncio.create_task(client.say(session_id, "hi"))
            await asyncio.to_thread(wait_for_somebody_to_be_locked_out, postgres_url)
            server.pause()
        # The lock is the server's now, and the server is not there to give it back.
        await asyncio.to_thread(take_and_leave, postgres_url, session_id)
        server.resume()
        run = await saying
        assert (await client.wait_for(ended(run.run_id))).content == "You said: hi"
    log = await whole_log(server, session_id)
    assert [frame.event for frame in log].count("user.message") == 1


@contextmanager
def row_lock(url, session_id):
    """Hold the row of a session. Raises what PostgreSQL raises when somebody holds it for long."""
    with psycopg.connect(libpq(url)) as connection:
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        connection.execute("SELECT 1 FROM sessions_app_session WHERE id = %s FOR UPDATE", [session_id])
        yield


def take_and_leave(url, session_id):
    with row_lock(url, session_id):
        pass


def wait_for_somebody_to_be_locked_out(url):
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + LOCK_SECONDS
    while not ask_postgres(url, waiting)[0][0]:
        assert time.monotonic() < deadline, "nobody wants the lock"
        time.sleep(0.01)


async def test_connections_are_not_leaked(server, postgres_url):
    async with connected(server) as client:
        await turn(client, await client.create_session(), "hi")
        before = await asyncio.to_thread(backends, postgres_url)
        for _ in range(5):
            async with connected(server) as other:
                sessions = await asyncio.gather(*(other.create_session() for _ in range(10)))
                for session_id in sessions:
                    await other.say(session_id, 'call:add {"a": 1, "b": 2}')
                for _ in sessions:
                    await other.wait_for(ended())
                await asyncio.gather(*(other.reconnect(session_id) for session_id in sessions))
        after = await asyncio.to_thread(backends, postgres_url)
    # One for the journal and one for each thread that reads: agents.database.threads.THREADS.
    assert before <= after <= 1 + 4
