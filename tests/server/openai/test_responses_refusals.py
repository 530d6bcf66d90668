"""What the Responses API refuses: bad requests, failed runs, the things of others; and conversations."""

from __future__ import annotations

import asyncio
import uuid

import openai
import pytest

from tests.support.http_door import HttpDoor
from tests.support.model_replies import Status, text
from tests.support.openai_door import openai_client, user
from tests.support.patience import WAIT_SECONDS

SERVER = {
    "files": ("tools.py", "second.py"),
    "settings": {"GRANTS_SECONDS": 0.1, "HEARTBEAT_SECONDS": 0.2},
    "options": ("--language", "en"),
}
NOWHERE = f"resp_{uuid.uuid4()}_1"
QUESTION = {"type": "mcp_approval_response", "approval_request_id": "mcpr_x", "approve": True}
pytestmark = pytest.mark.database


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"model": "nobody"}, 404, "agent_not_found"),
        ({"input": []}, 400, "bad_field"),
        ({"input": "  "}, 400, "empty_message"),
        ({"input": [{"role": "assistant", "content": "x"}]}, 400, "bad_field"),
        ({"input": [7, user("x")]}, 400, "bad_field"),
        ({"input": [{"content": "x"}, user("x")]}, 400, "bad_field"),
        ({"input": [user("a")] * 2_001}, 400, "bad_field"),
        ({"input": [user([{"type": "input_file", "file_id": str(uuid.uuid4())}])]}, 404, "file_not_found"),
        ({"input": [user([{"type": "input_file", "file_data": "x"}])]}, 415, "unsupported_type"),
        ({"input": [user([{"type": "input_audio", "input_audio": {}}])]}, 400, "bad_field"),
        ({"input": [user([{"type": "input_text", "text": 7}])]}, 400, "bad_field"),
        ({"input": [user([{"type": ["input_text"]}])]}, 400, "bad_field"),
        ({"input": [QUESTION]}, 404, "session_not_found"),
        ({"input": [QUESTION], "previous_response_id": NOWHERE}, 404, "run_not_found"),
        ({"input": [{**QUESTION, "approval_request_id": 3}]}, 400, "bad_field"),
        ({"previous_response_id": "resp_1"}, 404, "run_not_found"),
        ({"previous_response_id": NOWHERE}, 404, "run_not_found"),
        ({"conversation": str(uuid.uuid4())}, 404, "session_not_found"),
        ({"conversation": "x", "previous_response_id": NOWHERE}, 400, "bad_field"),
        ({"conversation": "x", "metadata": {"session_id": "y"}}, 400, "bad_field"),
        ({"extra_body": {"conversation": 3}}, 400, "bad_field"),
        ({"extra_body": {"background": "yes"}}, 400, "bad_field"),
        ({"extra_body": {"text": {"format": {"type": "json_object"}}}}, 400, "not_supported"),
        ({"tools": [{"type": "web_search"}]}, 400, "not_supported"),
        ({"prompt": {"id": "p"}}, 400, "not_supported"),
        ({"extra_headers": {"Idempotency-Key": "k" * 201}}, 400, "bad_field"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_refused(ann, door, more, status, code, stream):
    before = (await door.told("GET", "sessions?limit=100"))["sessions"]
    with pytest.raises(openai.APIStatusError) as refused:
        await ann.responses.create(**{"model": "second", "input": "x", "stream": stream} | more)
    assert (refused.value.status_code, refused.value.code) == (status, code)
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert (await door.told("GET", "sessions?limit=100"))["sessions"] == before, "it leaves nothing"


async def test_what_is_refused_of_a_response(ann, door):
    response = await ann.responses.create(model="second", input="hello")
    with pytest.raises(openai.BadRequestError) as refused:
        await ann.responses.delete(response.id)
    assert refused.value.code == "not_supported"
    with pytest.raises(openai.BadRequestError) as refused:
        await ann.responses.create(model="tools", input="x", previous_response_id=response.id)
    assert refused.value.code == "bad_field", "it is one of another agent"
    for wrong in ("-2", "x", "1.5", "9" * 30):
        answer = await door.client.get(f"/v1/responses/{response.id}?stream=true&starting_after={wrong}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_field")
    for method, path, status, code in (
        ("GET", "responses", 405, "method_not_allowed"),
        ("GET", f"responses/{response.id[:-1]}2", 404, "run_not_found"),
        ("GET", f"responses/{response.id[:-1]}2?stream=true", 404, "run_not_found"),
        ("GET", f"responses/{NOWHERE}", 404, "run_not_found"),
        ("GET", "responses/x/y", 404, "not_found"),
    ):
        answer = await door.client.request(method, f"/v1/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), path
    told = [event async for event in await ann.responses.retrieve(response.id, stream=True)]
    end = await ann.responses.retrieve(response.id, stream=True, starting_after=told[-1].sequence_number)
    assert [event async for event in end] == []


async def test_a_number_that_no_event_has_yet_is_refused_and_ends_no_stream_politely(ann, model):
    held = text("one two", hang=1)
    model.script(held)
    running = await ann.responses.create(model="second", input="hello", background=True)
    assert await asyncio.to_thread(held.gate.entered.wait, WAIT_SECONDS)
    with pytest.raises(openai.BadRequestError) as refused:
        await ann.responses.retrieve(running.id, stream=True, starting_after=10**12)
    assert refused.value.code == "cursor_ahead"
    held.gate.open()
    with pytest.raises(openai.BadRequestError) as refused:
        await ann.responses.retrieve(running.id, stream=True, starting_after=10**12)
    assert refused.value.code == "cursor_ahead"


async def test_runs_that_fail(ann, model):
    model.script(Status(401))
    failed = await ann.with_options(max_retries=2).responses.create(model="second", input="x")
    assert (failed.status, failed.error.code, failed.output) == ("failed", "llm_auth", [])
    assert len(model.requests) == 1
    model.script(Status(401))
    events = [event async for event in await ann.responses.create(model="second", input="x", stream=True)]
    assert (events[-1].type, events[-1].response.error.code) == ("response.failed", "llm_auth")


async def test_the_things_of_others_look_as_if_there_were_none(server, tokens, ann, bob):
    hers = await ann.responses.create(model="second", input="a secret")

    async def refused(act, name):
        with pytest.raises(openai.NotFoundError) as error:
            await act(name)
        return error.value.body

    acts = (
        bob.responses.retrieve,
        bob.responses.cancel,
        bob.responses.delete,
        bob.responses.input_items.list,
        lambda name: bob.responses.retrieve(name, stream=True),
        lambda name: bob.responses.create(model="second", input="x", previous_response_id=name),
    )
    for act in acts:
        assert await refused(act, hers.id) == await refused(act, NOWHERE)
    acts = (
        bob.conversations.retrieve,
        bob.conversations.delete,
        bob.conversations.items.list,
        lambda name: bob.responses.create(model="second", input="x", conversation=name),
    )
    for act in acts:
        assert await refused(act, hers.conversation.id) == await refused(act, str(uuid.uuid4()))
    assert (await ann.responses.retrieve(hers.id)).output_text == "You said: a secret"
    async with openai_client(server, "nonsense") as nobody:
        with pytest.raises(openai.AuthenticationError):
            await nobody.responses.retrieve(hers.id)
    async with HttpDoor(server) as stranger:
        answer = await stranger.client.get(f"/v1/responses/{hers.id}?token={tokens['ann']}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_field"), "in headers only"


async def test_a_session_that_is_deleted_ends_its_responses(ann, door, model):
    response = await ann.responses.create(model="second", input="hello")
    await door.ask("DELETE", f"sessions/{response.conversation.id}")
    with pytest.raises(openai.NotFoundError):
        await ann.responses.retrieve(response.id)
    model.script(text("one two", hang=1))
    stream = await ann.responses.create(model="tools", input="hello", stream=True)
    events = []
    async for event in stream:
        events.append(event)
        if event.type == "response.output_text.delta":
            await door.ask("DELETE", f"sessions/{events[0].response.conversation.id}")
    assert (events[-1].type, events[-1].response.error.code) == ("response.failed", "session_not_found")


async def test_conversations(ann, door, model):
    items = [user("My name is Ada."), {"role": "assistant", "content": "Hello Ada."}]
    made = await ann.conversations.create(items=items, metadata={"model": "second", "page": "1"})
    assert made.metadata["page"] == "1" and made.created_at > 0
    answer = await ann.responses.create(model="second", input="Who am I?", conversation=made.id)
    assert answer.conversation.id == made.id
    assert "Hello Ada." in str(model.requests[-1].body)
    for number in range(3):
        await ann.responses.create(model="second", input=f"number {number}", conversation=made.id)
    told = [item async for item in await ann.conversations.items.list(made.id, limit=3, order="asc")]
    assert [(item.role, item.content[0].text) for item in told][:4] == [
        ("user", "Who am I?"),
        ("assistant", "You said: Who am I?"),
        ("user", "number 0"),
        ("assistant", "You said: number 0"),
    ]
    assert len(told) == 8
    newest = (await ann.conversations.items.list(made.id, limit=1)).data
    assert newest[0].content[0].text == "You said: number 2"
    changed = await ann.conversations.update(made.id, metadata={"page": "2"})
    assert (await ann.conversations.retrieve(made.id)).metadata == changed.metadata == {"model": "second", "page": "2"}
    with pytest.raises(openai.BadRequestError) as refused:
        await ann.conversations.items.create(made.id, items=items)
    assert refused.value.code == "not_supported"
    assert (await ann.conversations.delete(made.id)).deleted
    assert (await door.ask("GET", f"sessions/{made.id}")).status_code == 404
    other = await ann.conversations.create()
    assert other.metadata == {"model": "tools"}, "the agent that is meant where none is named"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("conversations", {"metadata": {"model": 3}}, "bad_field"),
        ("conversations", {"metadata": {"model": "nobody"}}, "agent_not_found"),
        ("conversations", {"metadata": []}, "bad_field"),
        ("conversations", {"items": [3]}, "bad_field"),
        ("conversations", {"metadata": {"x": "y" * 70_000}}, "bad_field"),
    ],
)
async def test_conversations_that_are_refused(door, path, body, code):
    answer = await door.client.post(f"/v1/{path}", json=body)
    assert answer.json()["error"]["code"] == code


async def test_pages_of_items_are_of_a_size(ann, door):
    made = await ann.conversations.create()
    for wrong in ("0", "101", "x", ""):
        answer = await door.client.get(f"/v1/conversations/{made.id}/items?limit={wrong}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_field")
