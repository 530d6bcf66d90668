"""Two endpoints, one agent: who is asked when the first one fails, and what people see of it."""

from __future__ import annotations

import asyncio
import urllib.request
from contextlib import closing

import pytest

from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.conversation import PARTIAL, ended, happens, text_of, turn, whole_log
from tests.support.model_replies import Status, smart, text, tools
from tests.support.model_server import ModelServer
from tests.support.strict_endpoint import strict

NOW = {"Retry-After": "0"}
BROKEN = Status(500, headers=NOW)


@pytest.fixture
def second():
    """The endpoint of the second model."""
    with ModelServer() as server:
        yield server


@pytest.fixture
def start(tmp_path, model, second):
    """Starts the server of a test: what it finds out of models dies with its process."""
    servers = []

    def start(**environment):
        server = AgentServer(
            tmp_path, "falling_back.py", model=model, environment={"SECOND_URL": second.url} | environment
        )
        servers.append(server)
        return server.__enter__()

    model.reset()
    model.default = smart
    model.guard = second.guard = strict
    yield start
    for server in servers:
        server.__exit__()
    assert [request.body["messages"] for request in (*model.refused, *second.refused)] == []
    model.default = smart


def fallbacks(frames):
    return [
        (frame.metadata["step"], frame.metadata["model"], frame.metadata["model_number"])
        for frame in frames
        if frame.event == "agent.step_reset" and frame.metadata["reason"] == "fallback"
    ]


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        ([BROKEN] * 3, 3),
        ([text("one two three four", cut=2)] * 3, 3),
    ],
)
async def test_the_second_model_answers(start, model, second, script, asked):
    server = start()
    model.script(*script)
    async with connected(server) as client:
        session_id = await client.create_session()
        frames = await turn(client, session_id, 'call:add {"a": 1, "b": 2}')
        assert fallbacks(frames) == [(1, "second", 1)]
        assert text_of(frames) == frames[-1].content == "Result: 3"
        assert frames[-1].metadata["usage"]["model"] == "second"
        assert (len(model.requests), len(second.requests)) == (asked, 2), "the run stays with the second"
        again = await turn(client, session_id, "and now?")
        assert again[-1].content == "You said: and now?" and fallbacks(again) == [(1, "second", 1)]
        assert len(model.requests) == asked, "a model that was found dead is not asked"
    await whole_log(server, session_id)
    assert {request.body["model"] for request in second.requests} == {"second"}


async def test_silence_in_the_middle_of_an_answer(start, model, second):
    server = start(FIRST_TIMEOUT="0.5")
    model.script(text("one two three", hang=2))
    second.script(text("four five"))
    async with connected(server) as client:
        frames = await turn(client, await client.create_session(), "hi")
    assert text_of(frames) == frames[-1].content == "four five"
    assert len(model.requests) == 1 and [frame.content for frame in frames if frame.event == PARTIAL][0] == "one two "


async def test_what_is_not_hidden(start, model, second):
    server = start()
    async with connected(server) as client:
        for status, code in (
            (Status(401, "bad key"), "llm_auth"),
            (Status(403), "llm_auth"),
            (Status(402, "insufficient balance"), "llm_rejected"),
            (Status(404, "no such model"), "llm_not_found"),
            (Status(400, "temperature must be cold"), "llm_rejected"),
            (Status(400, "This model's maximum context length is 20000 tokens."), "context_overflow"),
        ):
            session_id = await client.create_session()  # a longer one would be cut where it is too long
            model.script(status)
            frames = await turn(client, session_id, "hi")
            assert frames[-1].event == "agent.error" and frames[-1].code == code
            assert (await turn(client, session_id, "again"))[-1].event == "agent.final_answer"
    assert len(model.requests) == 12 and not second.requests


async def test_too_long_for_the_first_and_not_for_the_second(start, model, second):
    server = start(WINDOW="100000")
    model.script(Status(400, "This model's maximum context length is 20000 tokens."))
    async with connected(server) as client:
        frames = await turn(client, await client.create_session(), "hi")
    assert fallbacks(frames) == [(1, "second", 1)] and frames[-1].content == "You said: hi"


async def test_many_runs_and_a_model_that_dies(start, model, second):
    """Whatever runs at the same moment: the dead model is asked no more once it is known to be dead."""
    server = start()
    model.default = lambda body: BROKEN
    async with connected(server) as client:
        sessions = [await client.create_session() for _ in range(8)]
        runs = [await client.say(session_id, "hi") for session_id in sessions]
        for run in runs:
            assert (await client.wait_for(ended(run.run_id))).content == "You said: hi"
        asked = len(model.requests)
        for session_id in sessions:
            frames = await turn(client, session_id, "more")
            mine = [frame for frame in frames if frame.run_id == frames[-1].run_id]
            assert frames[-1].content == "You said: more" and fallbacks(mine) == [(1, "second", 1)]
    assert len(model.requests) == asked <= 3 * len(sessions)


async def test_killed_in_the_answer_of_the_second_model(start, model, second):
    server = start()
    model.script(*[BROKEN] * 3)
    second.script(tools(("add", {"a": 1, "b": 2})), held := text("one two three", hang=1), text("one two three"))
    async with connected(server) as client:
        session_id = await client.create_session()
        run = await client.say(session_id, "count")
        await client.wait_for(PARTIAL)
        await happens(held.gate.entered)
        await asyncio.to_thread(server.kill)
    asked = len(model.requests)
    await asyncio.to_thread(server.start)
    async with connected(server) as client:
        await client.reconnect(session_id)
        end = await client.wait_for(ended(run.run_id))
        assert end.content == "one two three" and end.metadata["usage"]["model"] == "second"
        # The new process knows nothing bad of the first one: it is the log that says who answers.
        assert len(model.requests) == asked == 3
        log = await whole_log(server, session_id)
        assert text_of(log) == "one two three" and fallbacks(log) == [(1, "second", 1)]
        assert (await turn(client, session_id, "next"))[-1].content == "You said: next"
    assert len(model.requests) == 4, "another run begins with the first one"


async def test_killed_before_anything_of_the_second_model(start, model, second):
    server = start()
    model.script(*[BROKEN] * 3)
    second.script(held := text("never", hang=0))
    async with connected(server) as client:
        session_id = await client.create_session()
        run = await client.say(session_id, "hi")
        await client.wait_for("agent.step_reset")
        await happens(held.gate.entered)
        await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    async with connected(server) as client:
        await client.reconnect(session_id)
        assert (await client.wait_for(ended(run.run_id))).content == "You said: hi"
    assert len(model.requests) == 3 and len(second.requests) == 2


async def test_what_operators_see(start, model, second):
    server = start()
    assert "first → second" in server.banner
    model.script(*[BROKEN] * 3)
    async with connected(server) as client:
        frames = await turn(client, await client.create_session(), "hi")
    assert frames[-1].content == "You said: hi"
    assert "first did not answer" in server.log and "second answers from here on" in server.log
    with Backstage(server) as backstage:
        spans = backstage.do(
            "from sessions_app.models import Span\n"
            "result = list(Span.objects.filter(kind='reply').order_by('id').values_list('name', 'outcome'))"
        )
    assert sorted(map(tuple, spans)) == [("first", "failed"), ("second", "ok")]
    numbers = await asyncio.to_thread(_metrics, server)
    assert 'myagent_model_fallbacks_total{agent="falling_back",model="second"} 1.0' in numbers
    assert f'myagent_model_away{{endpoint="{model.url}",model="first"}} 1.0' in numbers
    assert f'myagent_model_away{{endpoint="{second.url}",model="second"}} 0.0' in numbers
    assert 'myagent_model_requests_total{model="first",outcome="llm_unavailable"} 1.0' in numbers
    assert 'myagent_model_requests_total{model="second",outcome="ok"} 1.0' in numbers


def _metrics(server):
    with closing(urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=30)) as answer:
        return answer.read().decode()
