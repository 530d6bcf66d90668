"""The client in TypeScript, under node, against a real server whose connection and life end in mid-answer."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.conversation import PARTIAL, only, text_of, whole_log
from tests.support.javascript_client import javascript_client
from tests.support.model_replies import text
from tests.support.node_process import RequestFailed
from tests.support.proxy import Proxy

pytestmark = pytest.mark.slow

SERVER = {"files": ("recovering.py",)}
WORDS = "One two three four five six seven eight nine ten."
OWN = ("user.message", "user.response")


async def entered(answer):
    assert await asyncio.to_thread(answer.gate.entered.wait, 30)


async def end_of(client, run_id):
    return await client.until(lambda frame: frame.ends_run and frame.run_id == run_id)


async def test_nothing_is_lost_over_cuts_kills_and_cancels(server, model):
    cut, killed, again, cancelled = text(WORDS, hang=3), text(WORDS, hang=3), text(WORDS), text(WORDS, hang=3)
    model.script(cut, killed, again, cancelled)
    with Proxy("127.0.0.1", server.port) as proxy:
        async with javascript_client(f"http://127.0.0.1:{proxy.port}/") as client:
            session_id = await client.call("createSession", {"title": "A day"})
            first = await client.call("say", session_id, "go")
            await entered(cut)
            await client.until(lambda frame: frame.event == PARTIAL)
            await client.until_link("open")
            await asyncio.to_thread(proxy.cut)
            await client.until_link("waiting")
            # What is asked meanwhile waits for the next connection.
            listing = asyncio.create_task(client.call("listSessions"))
            await asyncio.to_thread(proxy.mend)
            await client.until_link("open")
            cut.gate.open()
            assert (await end_of(client, first["run_id"])).content == WORDS
            assert (await listing)["sessions"][0]["title"] == "A day"

            second = await client.call("say", session_id, "go")
            await entered(killed)
            await client.until(lambda frame: frame.event == PARTIAL and frame.run_id == second["run_id"])
            await asyncio.to_thread(server.kill)
            await client.until_link("waiting")
            third = asyncio.create_task(client.call("say", session_id, "go", {"messageId": "third"}))
            await asyncio.to_thread(server.start)
            assert (await end_of(client, second["run_id"])).content == WORDS

            third = await third
            await entered(cancelled)
            await client.call("cancel", session_id)
            assert (await end_of(client, third["run_id"])).event == "agent.interrupted"
            with pytest.raises(RequestFailed, match="session_not_found"):
                await client.call("follow", "no-such-session")
            replayed = await client.call("follow", session_id)
    log = await whole_log(server, session_id)
    assert (replayed["replayed"], replayed["last_seq"]) == (len(log), log[-1].seq)
    logged = [frame for frame in client.frames if frame.seq is not None]
    # Once as it happened, without what this client said; and once more because it asked for all of it.
    assert logged == [frame for frame in log if frame.event not in OWN] + log
    for run in (first, second):
        assert text_of([frame for frame in logged[: -len(log)] if frame.run_id == run["run_id"]]) == WORDS
    assert only([frame for frame in log if frame.run_id == second["run_id"]], "agent.step_reset")
