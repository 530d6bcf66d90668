"""An answer of megabytes at every door: whole, and as the model said it."""

from __future__ import annotations

import json

import httpx2
import pytest

from tests.support.mcp_client import called
from tests.support.model_replies import text
from tests.support.patience import WAIT_SECONDS

AGENT = "recovering"
SERVER = {"files": (f"{AGENT}.py",)}
LONG = 'a"和\\' * 100_000


@pytest.fixture
async def door(server, model):
    """A client, a session in which the model gave that answer, and the id of the run."""
    base = f"http://127.0.0.1:{server.port}"
    async with httpx2.AsyncClient(base_url=base, timeout=WAIT_SECONDS, trust_env=False) as client:
        session = (await client.post("/api/sessions/", json={"agent": AGENT})).json()["session_id"]
        model.script(text(LONG))
        yield client, session


def events_of(answer):
    assert answer.status_code == 200, answer.text
    return [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]


async def test_it_is_whole_everywhere(door):
    client, session = door
    key = {"Idempotency-Key": "long", "X-MyAgent-Session": session}
    asked = {"model": AGENT, "messages": [{"role": "user", "content": "hi"}]}
    whole = (await client.post("/v1/chat/completions", json=asked, headers=key)).json()
    assert whole["choices"][0]["message"]["content"] == LONG
    chunks = events_of(await client.post("/v1/chat/completions", json=asked | {"stream": True}, headers=key))
    assert "".join(c["delta"].get("content", "") for one in chunks for c in one["choices"]) == LONG

    said = {"model": AGENT, "conversation": session, "input": "hi"}
    response = (await client.post("/v1/responses", json=said, headers=key)).json()
    assert response["output"][-1]["content"][0]["text"] == LONG
    shown = (await client.get(f"/v1/responses/{response['id']}")).json()
    assert shown["output"] == response["output"]
    last = events_of(await client.get(f"/v1/responses/{response['id']}?stream=true"))[-1]
    assert (last["type"], last["response"]["output"]) == ("response.completed", response["output"])
    items = (await client.get(f"/v1/conversations/{session}/items")).json()["data"]
    assert items[0]["content"][0]["text"] == LONG

    chat = (await client.get(f"/api/chat/{AGENT}/{session}")).json()
    assert [part["text"] for part in chat["messages"][-1]["parts"] if part["type"] == "text"] == [LONG]
    joined = events_of(await client.get(f"/api/agui/{AGENT}/?threadId={session}"))
    snapshot = next(one["messages"] for one in joined if one["type"] == "MESSAGES_SNAPSHOT")
    assert snapshot[-1]["content"] == LONG

    run = whole["myagent"]["run_id"]
    body, headers = called("wait_for_answer", session_id=session, run_id=run)
    told = events_of(await client.post("/mcp/", json=body, headers=headers))[-1]
    assert told["result"]["structuredContent"]["answer"] == LONG
