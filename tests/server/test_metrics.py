"""Prometheus at a real server: what a conversation leaves in the numbers, and the sums over several workers."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from contextlib import ExitStack
from urllib.error import HTTPError

import pytest

from agents.metrics.measures import ALL
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, ended, turn
from tests.support.model_replies import text
from tests.support.services import give_sqlite_tables, module

parser = module("prometheus_client.parser", extra="metrics")


class Numbers:
    """An answer, by the names and labels of its samples."""

    def __init__(self, text):
        families = list(parser.text_string_to_metric_families(text))
        self.names = {family.name for family in families}
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def get(self, name, **labels):
        return self.samples.get((f"myagent_{name}", frozenset(labels.items())), 0)


def scrape(server, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return Numbers(answer.read().decode())


async def numbers_of(server, **headers):
    return await asyncio.to_thread(scrape, server, **headers)


@pytest.mark.database
async def test_what_a_conversation_leaves(server, client, model, tmp_path):
    before = await numbers_of(server)
    session_id = await client.create_session()
    await turn(client, session_id, "tokens:20")
    await turn(client, session_id, 'call:add {"a": 1, "b": 2}')
    await turn(client, session_id, "call:nonsense {}")
    await client.say(session_id, f"call:write {json.dumps({'path': str(tmp_path / 'x'), 'text': 'hello'})}")
    question = await client.wait_for("agent.user_confirm")
    waiting = await numbers_of(server)
    assert waiting.get("runs_running", agent="tools") == waiting.get("confirmations_pending", agent="tools") == 1
    answer = {"event": "user.response", "session_id": session_id, "step_id": question.step_id, "content": True}
    await client.send(answer)
    await client.until(ended())
    model.script(text("one two three", hang=2))
    await client.say(session_id, "go on for ever")
    await client.wait_for(PARTIAL)
    await client.send({"event": "user.cancel", "session_id": session_id})
    await client.until(ended())
    await client.send({"event": "user.nonsense"})
    await client.wait_for("system.error")
    async with connected(server) as other:
        await other.reconnect(session_id)
        assert (await numbers_of(server)).get("connections", door="websocket") == 2
    after = await numbers_of(server)

    def more(name, **labels):
        return after.get(name, **labels) - before.get(name, **labels)

    agent, asked = {"agent": "tools"}, {"model": "gpt-4o-mini"}
    assert more("runs_started_total", **agent) == 5
    assert more("runs_ended_total", **agent, outcome="answer") == 4
    assert more("runs_ended_total", **agent, outcome="interrupted") == 1
    assert more("run_duration_seconds_count", **agent) == more("run_queue_seconds_count", **agent) == 5
    assert more("first_text_seconds_count", **agent) >= 4
    assert more("tool_calls_total", **agent, tool="add", status="success") == 1
    assert more("tool_calls_total", **agent, tool="unknown", status="failed") == 1
    assert more("tool_call_duration_seconds_count", **agent, tool="write") == 1
    assert more("confirmations_answered_total", answer="yes") == 1
    assert more("model_requests_total", **asked, outcome="ok") == 7
    assert more("model_request_duration_seconds_count", **asked) >= 7
    assert more("model_output_tokens_total", **asked, **agent) > 0
    assert more("events_logged_total", event="agent.final_answer") == 4
    assert (
        more("frames_received_total", event="user.message") == 5 and more("frames_received_total", event="other") == 1
    )
    assert more("refusals_total", code="unknown_event") == 1
    assert more("events_sent_total", kind="live") > 10 and more("events_sent_total", kind="replay") > 10
    assert more("replay_duration_seconds_count") == 1
    assert more("sent_bytes_total", door="websocket") > more("received_bytes_total", door="websocket") > 100
    assert more("commit_duration_seconds_count") > 10
    assert after.get("database_healthy") == after.get("workers") == 1
    assert after.get("event_loop_lag_seconds_count") > 0
    assert {one.name.removesuffix("_total") for one in ALL} <= after.names, "known before anything happens"
    with pytest.raises(HTTPError, match="403"):
        await asyncio.to_thread(scrape, server, **{"X-Forwarded-For": "203.0.113.9"})


@pytest.fixture
def workers(tmp_path, model):
    """Two servers as a supervisor starts them."""
    shared = tmp_path / "workers"
    shared.mkdir(mode=0o700)
    give_sqlite_tables(tmp_path / "data")
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                AgentServer(
                    tmp_path,
                    "tools.py",
                    model=model,
                    environment={
                        "MYAGENT_WORKER": str(number),
                        "MYAGENT_WORKERS_DIR": str(shared),
                        "MYAGENT_LOG_FORMAT": "json",
                    },
                )
            )
            for number in range(2)
        ]


async def test_whichever_worker_is_asked_tells_of_all(workers, model):
    model.reset()
    first, second = workers
    async with connected(first) as here, connected(second) as there, connected(second) as beside:
        for client in (here, there, beside):
            await turn(client, await client.create_session(), "tokens:5")
        # What was told is written: no later answer is less, although the first worker is killed at once.
        told = await numbers_of(first)
        assert told.get("workers") == 2 and told.get("runs_queued", agent="tools") == 0
        await asyncio.to_thread(first.kill)
        left = await numbers_of(second)
        assert left.get("workers") == 1 and left.get("connections", door="websocket") == 2
    await asyncio.to_thread(first.start)
    again = [await numbers_of(server) for server in workers]
    for numbers in (told, left, *again):
        counted = numbers.get("runs_ended_total", agent="tools", outcome="answer")
        assert told.get("runs_ended_total", agent="tools", outcome="answer") <= counted <= 3
    assert again[1].get("runs_ended_total", agent="tools", outcome="answer") == 3
    assert again[0].get("workers") == again[1].get("workers") == 2
    assert {numbers.get("run_duration_seconds_count", agent="tools") for numbers in again} == {3}
    cpu = [numbers.samples["process_cpu_seconds_total", frozenset()] for numbers in (told, left, *again)]
    assert cpu == sorted(cpu)
    # Their log is for programs: each line says which worker wrote it.
    for number, server in enumerate(workers):
        lines = [json.loads(line) for line in server.log.splitlines()]
        assert {line["worker"] for line in lines} == {number} and not any("exception" in line for line in lines)
        ended_runs = [line for line in lines if line["logger"] == "myagent.runs"]
        assert len(ended_runs) == 1 + number
        assert all(line["outcome"] == "answer" and line["run"] and line["session"] for line in ended_runs)
