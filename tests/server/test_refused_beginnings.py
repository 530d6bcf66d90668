"""What is refused at a door where clients name their conversations leaves nothing: no session, no run, no message."""

from __future__ import annotations

import uuid

import pytest

from tests.support.http_door import HttpDoor

SERVER = {"files": ("tools.py",), "settings": {"MAX_CONNECTIONS": 1}}
MISSING = str(uuid.uuid4())


def agui(thread, words, file_id=None):
    content = words
    if file_id is not None:
        content = [{"type": "document", "source": {"type": "file", "value": file_id}}]
    return "agui/tools/", {
        "threadId": thread,
        "runId": "r",
        "messages": [{"id": words, "role": "user", "content": content}],
    }


def chat(thread, words, file_id=None):
    parts = [{"type": "text", "text": words}]
    if file_id is not None:
        parts = [{"type": "file", "mediaType": "text/plain", "url": f"/api/files/{file_id}"}]
    return "chat/tools/", {"id": thread, "messages": [{"id": words, "role": "user", "parts": parts}]}


async def sessions(door):
    return (await door.told("GET", "sessions"))["sessions"]


@pytest.fixture
async def door(server):
    async with HttpDoor(server) as client:
        for one in await sessions(client):
            await client.told("DELETE", f"sessions/{one['session_id']}")
        yield client


@pytest.mark.parametrize("asked", [agui, chat])
async def test_a_first_message_that_is_refused_leaves_no_session(door, asked):
    thread = f"thread of {asked.__name__}"
    answer = await door.ask("POST", *asked(thread, "m-1", MISSING))
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")
    assert await sessions(door) == []
    assert (await door.ask("POST", *asked(thread, "m-2"))).status_code == 200, "it can begin"
    answer = await door.ask("POST", *asked(thread, "m-3", MISSING))
    assert answer.json()["code"] == "file_not_found" and len(await sessions(door)) == 1


@pytest.mark.parametrize("asked", [agui, chat])
async def test_nothing_is_said_where_there_is_no_room_for_the_answer(door, model, asked):
    listening = await door.create()
    async with door.events(listening) as stream:
        await stream.until("system.notice")
        answer = await door.ask("POST", *asked(f"full {asked.__name__}", "m-1"))
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert [one["session_id"] for one in await sessions(door)] == [listening] and not model.requests
