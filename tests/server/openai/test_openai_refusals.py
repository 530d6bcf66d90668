"""What OpenAI's own client is refused at the real server: bad requests, failed runs, the things of others."""

from __future__ import annotations

import uuid

import openai
import pytest

from tests.support.model_replies import Status
from tests.support.openai_door import chunks_of, openai_client, user

SERVER = {
    "files": ("tools.py", "second.py", "structured.py"),
    "settings": {"GRANTS_SECONDS": 0.1, "HEARTBEAT_SECONDS": 0.2},
    "options": ("--language", "en"),
}
pytestmark = pytest.mark.database


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"model": "nobody"}, 404, "agent_not_found"),
        ({"messages": []}, 400, "bad_field"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400, "bad_field"),
        ({"messages": [user("  ")]}, 400, "empty_message"),
        ({"messages": [user(7), user("x")]}, 400, "bad_field"),
        ({"messages": [user(None)]}, 400, "bad_field"),
        ({"messages": [7, user("x")]}, 400, "bad_field"),
        ({"messages": [user("a")] * 2_001}, 400, "bad_field"),
        ({"messages": [user([{"type": "file", "file": {"file_id": str(uuid.uuid4())}}])]}, 404, "file_not_found"),
        ({"extra_headers": {"Idempotency-Key": "k" * 201}}, 400, "bad_field"),
        ({"extra_body": {"stream_options": 3}}, 400, "bad_field"),
        ({"extra_body": {"metadata": {"session_id": 3}}}, 400, "bad_field"),
        ({"messages": [user([{"type": "input_audio", "input_audio": {}}])]}, 400, "bad_field"),
        ({"messages": [user("x"), {"role": "user", "content": "y"}], "n": 2}, 400, "not_supported"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "not_supported"),
        ({"logprobs": True}, 400, "not_supported"),
        ({"response_format": {"type": "json_object"}}, 400, "not_supported"),
        ({"metadata": {"session_id": str(uuid.uuid4())}}, 404, "session_not_found"),
        ({"metadata": {"session_id": "x"}}, 404, "session_not_found"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_refused(ann, door, more, status, code, stream):
    before = (await door.told("GET", "sessions?limit=100"))["sessions"]
    with pytest.raises(openai.APIStatusError) as refused:
        await ann.chat.completions.create(**{"model": "second", "messages": [user("x")], "stream": stream} | more)
    assert (refused.value.status_code, refused.value.code) == (status, code)
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert (await door.told("GET", "sessions?limit=100"))["sessions"] == before, "it leaves nothing"


async def test_a_conversation_whose_beginning_was_refused_can_begin(ann):
    file = user([{"type": "file", "file": {"file_id": str(uuid.uuid4())}}])
    named = {"model": "second", "extra_headers": {"X-OpenWebUI-Chat-Id": str(uuid.uuid4())}}
    with pytest.raises(openai.NotFoundError):
        await ann.chat.completions.create(**named, messages=[file])
    said = await ann.chat.completions.create(**named, messages=[user("Hello")])
    assert said.choices[0].message.content == "You said: Hello"


async def test_runs_that_fail(ann, model):
    asked = {"model": "second", "messages": [user("x")]}
    model.script(Status(401))
    with pytest.raises(openai.InternalServerError) as failed:
        await ann.with_options(max_retries=2).chat.completions.create(**asked)
    assert (failed.value.status_code, failed.value.code) == (502, "llm_auth")
    assert len(model.requests) == 1, "asked again, the agent would do everything again"
    model.script(Status(401))
    with pytest.raises(openai.APIError) as failed:
        await chunks_of(await ann.chat.completions.create(**asked, stream=True))
    assert failed.value.code == "llm_auth"


async def test_a_foreign_session_looks_as_if_there_were_none(server, tokens, ann, door):
    session_id = await door.create(agent="second")
    asked = {"model": "second", "messages": [user("x")], "extra_headers": {"X-MyAgent-Session": session_id}}
    async with openai_client(server, tokens["bob"]) as bob:
        with pytest.raises(openai.NotFoundError) as refused:
            await bob.chat.completions.create(**asked)
        missing = asked | {"extra_headers": {"X-MyAgent-Session": str(uuid.uuid4())}}
        with pytest.raises(openai.NotFoundError) as absent:
            await bob.chat.completions.create(**missing)
    assert refused.value.body == absent.value.body
    async with openai_client(server, "nonsense") as nobody:
        with pytest.raises(openai.AuthenticationError) as refused:
            await nobody.models.list()
    assert refused.value.code == "invalid_token"
    answer = await door.client.get(f"/v1/models?token={tokens['ann']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_field"), "in headers only"
