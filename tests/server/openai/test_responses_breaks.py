"""The Responses API when connections break, servers die, pieces are compacted: joined, the text is the answer."""

from __future__ import annotations

import asyncio
import json
import random

import httpx2
import openai
import pytest

from tests.support.agent_server import AgentServer
from tests.support.backstage import tokens_of
from tests.support.conversation import check_log
from tests.support.http_door import HttpDoor
from tests.support.model_replies import text
from tests.support.openai_door import approvals, openai_client, said_by
from tests.support.patience import WAIT_SECONDS
from tests.support.response_reducer import ResponseReducer
from tests.support.two_servers import KINDS, two_servers

CUTS, TOKENS = 200, 3_000
OPTIONS = ("--language", "en")
SERVER = {
    "files": ("tools.py",),
    "settings": {
        "DELTA_INTERVAL_MS": 1,
        "GRANTS_SECONDS": 0.1,
        "HEARTBEAT_SECONDS": 0.2,
        "MAX_CONNECTIONS": 3,
        "MAX_FRAME_BYTES": 100_000,
    },
    "options": OPTIONS,
}
pytestmark = pytest.mark.database


async def until_text(stream):
    """The events up to the first text."""
    events = []
    async for event in stream:
        events.append(event)
        if event.type == "response.output_text.delta":
            return events
    raise AssertionError("it ended")


@pytest.mark.slow
@pytest.mark.parametrize("is_over", [False, True])
async def test_an_answer_that_is_cut_all_the_time_is_whole(ann, model, is_over):
    """While it comes, and from the log. A client that resumes has each event once, in the strictest order."""
    draw, cuts, reducer = random.Random(7), 0, ResponseReducer()
    model.script(text(TOKENS, delay=0.005))
    begun = await ann.responses.create(model="tools", input="tell me much", background=True)
    words = "".join(f"t{number} " for number in range(TOKENS))
    if is_over:
        async for event in await ann.responses.retrieve(begun.id, stream=True):
            last = event
        assert last.response.output_text == words
    while not reducer.is_over:
        stream = await ann.responses.retrieve(begun.id, stream=True, starting_after=max(0, reducer.last_number))
        wanted = draw.randint(1, 2)  # pieces that come fast are logged as one
        async for event in stream:
            reducer.take([event.to_dict()])
            wanted -= 1
            if not wanted:
                break
        await stream.close()
        cuts += 1
    assert cuts > CUTS
    assert "".join(reducer.deltas.values()) == words == reducer.text


async def test_pieces_that_are_compacted_meanwhile_are_not_told_twice(server, ann, model):
    model.script(text(40, delay=0.005))
    events = [event async for event in await ann.responses.create(model="tools", input="much", stream=True)]
    name, words = events[0].response.id, "".join(f"t{number} " for number in range(40))
    assert "40" not in said_by(events) and said_by(events) == words
    await asyncio.to_thread(server.manage, "compactevents")
    for cut in range(1, len(events)):
        rest = [
            event
            async for event in await ann.responses.retrieve(
                name, stream=True, starting_after=events[cut - 1].sequence_number
            )
        ]
        assert words.startswith(said_by(events[:cut] + rest)), "nothing twice"
        done = [event.text for event in events[:cut] + rest if event.type == "response.output_text.done"]
        assert set(done) == {words} and rest[-1].response == events[-1].response
    assert await ann.responses.retrieve(name) == events[-1].response
    whole = [event async for event in await ann.responses.retrieve(name, stream=True)]
    assert said_by(whole) == words and whole[-1] == events[-1], "with the same number"


async def test_a_server_that_is_killed_in_the_middle(tmp_path, model):
    model.reset()
    model.script(text("one two three four", hang=2))
    reducer = ResponseReducer()
    with AgentServer(tmp_path, "recovering.py", model=model, options=OPTIONS) as server:
        token = tokens_of(server)["ann"]
        async with openai_client(server, token) as client:
            stream = await client.responses.create(model="recovering", input="hello", stream=True)
            events = await until_text(stream)
            reducer.take([event.to_dict() for event in events])
            server.kill()
            with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
                async for event in stream:
                    reducer.take([event.to_dict()])
        model.reset()
        server.start()
        async with openai_client(server, token) as client, HttpDoor(server, token) as door:
            name = events[0].response.id
            rest = await client.responses.retrieve(name, stream=True, starting_after=reducer.last_number)
            reducer.take([event.to_dict() async for event in rest])
            assert reducer.text == "You said: hello" and reducer.response["status"] == "completed"
            shown = [index for index, item in reducer.items.items() if item["status"] == "incomplete"]
            assert [reducer.deltas[index][:4] for index in shown] == ["one "], "void, and left out of the whole"
            assert (await client.responses.retrieve(name)).output_text == "You said: hello"
            check_log(await door.log(events[0].response.conversation.id))


async def test_a_server_that_stops_ends_no_stream_politely(tmp_path, model):
    model.reset()
    model.script(text("one two three four", hang=2))
    with AgentServer(tmp_path, "recovering.py", model=model, options=OPTIONS) as server:
        async with openai_client(server, tokens_of(server)["ann"]) as client:
            stream = await client.responses.create(model="recovering", input="hello", stream=True)
            await until_text(stream)
            server.terminate()
            with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
                async for event in stream:
                    assert event.type != "response.completed"
            assert await asyncio.to_thread(server.wait_exit) == 0
            assert "Traceback" not in server.log


async def test_a_question_is_answered_after_a_restart(tmp_path, model):
    model.reset()
    path = tmp_path / "written"
    call = "call:write " + json.dumps({"path": str(path), "text": "hello"})
    with AgentServer(tmp_path, "tools.py", model=model, options=OPTIONS) as server:
        token = tokens_of(server)["ann"]
        async with openai_client(server, token) as client:
            first = await client.responses.create(model="tools", input=call)
        server.kill()
        server.start()
        async with openai_client(server, token) as client, HttpDoor(server, token) as door:
            assert await client.responses.retrieve(first.id) == first
            asked = {"model": "tools", "input": approvals(first, True), "previous_response_id": first.id}
            async with client.responses.stream(**asked) as stream:
                second = await stream.get_final_response()
            assert (second.output_text, path.read_text()) == ("Result: wrote hello", "hello")
            check_log(await door.log(first.conversation.id))


@pytest.mark.parametrize("kind", KINDS)
async def test_on_any_process(kind, tmp_path, model):
    model.reset()
    held = text("one two three", hang=2)
    model.script(held)
    with two_servers(kind, tmp_path, model) as (first, second):
        token = tokens_of(first)["ann"]
        async with openai_client(first, token) as here, openai_client(second, token) as there:
            stream = await here.responses.create(model="tools", input="hello", stream=True)
            events = await until_text(stream)
            name = events[0].response.id
            far = await there.responses.retrieve(name, stream=True, starting_after=events[-1].sequence_number)
            held.gate.open()
            rest = [event async for event in stream]
            assert [event async for event in far] == rest and said_by(events + rest) == "one two three"
            asked = {"model": "tools", "previous_response_id": name, "extra_headers": {"Idempotency-Key": "m-1"}}
            both = await asyncio.gather(*(one.responses.create(input="on", **asked) for one in (here, there)))
            assert both[0] == both[1]
            call = "call:write " + json.dumps({"path": str(tmp_path / "x"), "text": "hello"})
            asks = await here.responses.create(model="tools", input=call, previous_response_id=both[0].id)
            answer = {"model": "tools", "input": approvals(asks, True), "previous_response_id": asks.id}
            assert (await there.responses.create(**answer)).output_text == "Result: wrote hello"


async def test_room_sizes_and_comments(server, ann, token, model):
    held = [text("one", hang=0) for _ in range(3)]
    model.script(*held)
    asking = [asyncio.create_task(ann.responses.create(model="tools", input="x")) for _ in range(3)]
    assert await asyncio.to_thread(model.request, 3)
    with pytest.raises(openai.InternalServerError) as refused:
        await ann.responses.create(model="tools", input="x")
    assert (refused.value.status_code, refused.value.code) == (503, "busy")
    for one in held:
        one.gate.open()
    assert {one.output_text for one in await asyncio.gather(*asking)} == {"one"}
    with pytest.raises(openai.APIStatusError) as refused:
        await ann.responses.create(model="tools", input="x" * 200_000)
    assert (refused.value.status_code, refused.value.code) == (413, "too_large")
    held = text("late", hang=0)
    model.script(held)
    body = {"model": "tools", "input": "hello", "stream": True}
    async with HttpDoor(server, token) as door, door.client.stream("POST", "/v1/responses", json=body) as response:
        assert response.headers["x-myagent-session"] and response.headers["x-request-id"]
        silences = 0
        async with asyncio.timeout(WAIT_SECONDS):
            async for line in response.aiter_lines():
                silences += line.startswith(":")
                if silences == 4:
                    held.gate.open()
    assert silences >= 4
