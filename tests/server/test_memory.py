"""A server whose memory is nearly used up: nothing new is begun, nothing that was begun is lost, and it ends."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request

import pytest

from myagent.client import ConnectionLost, RequestRefused
from tests.conftest import connected
from tests.support.conversation import PARTIAL, ended, turn, whole_log
from tests.support.model_replies import text, tools

SERVER = {"files": ("hungry.py",), "settings": {"MAX_RUNS": 1}}


def fetched(server, path):
    """Status, headers and JSON of an answer."""
    address = server.url.replace("ws://", "http://").rstrip("/") + path
    try:
        with urllib.request.urlopen(address) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.load(error)


async def test_what_was_accepted_goes_on_and_all_else_is_refused_until_there_is_memory_again(server, client, model):
    model.script(
        tools(("take", {"percent": 95})),
        waiting := text("one two", hang=1),
        tools(("take", {"percent": 40})),
        text("three"),
    )
    session_id, other = await client.create_session(), await client.create_session()
    running = await client.say(session_id, "hi", "m1")
    await client.wait_for(PARTIAL)
    queued = await client.say(other, "me too", "m2")
    await asyncio.to_thread(server.wait_log, "Memory is scarce")

    with pytest.raises(RequestRefused, match="short of memory") as refused:
        await client.say(session_id, "one more")
    assert refused.value.code == "busy"
    again = await client.say(session_id, "hi", "m1")
    assert (again.run_id, again.duplicate) == (running.run_id, True), "what was accepted before is"
    with pytest.raises(ConnectionLost) as lost:
        async with connected(server):
            pass
    assert (lost.value.close_code, lost.value.reason) == (4429, "busy")
    status, headers, body = await asyncio.to_thread(fetched, server, "/api/agents/")
    assert (status, headers["Retry-After"], body["code"]) == (503, "10", "busy")
    assert (await asyncio.to_thread(fetched, server, "/readyz"))[0] == 503
    assert (await asyncio.to_thread(fetched, server, "/healthz"))[0] == 200

    waiting.gate.open()
    assert (await client.wait_for(ended(running.run_id))).content == "one two"
    assert (await client.wait_for(ended(queued.run_id))).content == "three"
    await asyncio.to_thread(server.wait_log, "There is enough memory again")
    assert (await turn(client, session_id, "one more"))[-1].event == "agent.final_answer"
    assert (await asyncio.to_thread(fetched, server, "/readyz"))[0] == 200
    await whole_log(server, session_id)
