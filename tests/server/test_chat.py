"""The door for the Vercel AI SDK at the real server: what is refused, and what is told again."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.support.http_door import HttpDoor

SERVER = {"files": ("tools.py",), "options": ("--language", "en")}
pytestmark = pytest.mark.database


@pytest.fixture
async def door(server):
    async with HttpDoor(server) as client:
        yield client


def asked(chat, *parts, name="m-1", role="user", **more):
    messages = [{"id": name, "role": role, "parts": list(parts)}]
    return {"id": chat, "messages": messages, "trigger": "submit-message", **more}


def words(text):
    return {"type": "text", "text": text}


async def chunks(door, body, path="chat/tools"):
    answer = await door.ask("POST", path, body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    return [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]


async def test_an_exchange_and_the_same_one_again(door, model):
    chat = str(uuid.uuid4())
    first = await chunks(door, asked(chat, words("hello")))
    requests = len(model.requests)
    again = await chunks(door, asked(chat, words("hello")), "chat/tools/")
    assert first == again and len(model.requests) == requests, "a message that is sent again starts nothing"
    assert [chunk["type"] for chunk in first][:3] == ["start", "start-step", "text-start"]
    assert (await door.ask("GET", f"chat/tools/{chat}/stream")).status_code == 204
    held = await door.told("GET", f"chat/tools/{chat}/")
    assert [one["id"] for one in held["messages"]] == ["m-1", first[0]["messageId"]]
    log = await door.log(held["session_id"])
    assert log[-1].run_id == first[0]["messageId"] and log[-1].content == held["messages"][1]["parts"][-1]["text"]


async def test_what_is_refused(door, model):
    requests, chat = len(model.requests), str(uuid.uuid4())
    good = asked(chat, words("hello"))
    approval = {"type": "dynamic-tool", "state": "approval-responded", "approval": {"id": "x", "approved": True}}
    wrong = [
        ({**good, "id": ""}, 400, "bad_field"),
        ({**good, "messages": {}}, 400, "bad_field"),
        ({**good, "messages": []}, 400, "empty_message"),
        ({**good, "trigger": "odd"}, 400, "bad_field"),
        ({**good, "trigger": "regenerate-message"}, 400, "not_supported"),
        ({**good, "messageId": "m-1"}, 400, "not_supported"),
        (asked(chat, words(" ")), 400, "empty_message"),
        (asked(chat, words(3)), 400, "bad_field"),
        (asked(chat, {"type": "odd"}), 400, "bad_field"),
        (asked(chat, words("hello"), name=None), 400, "bad_field"),
        (asked(chat, {"type": "file", "mediaType": "audio/wav", "url": "data:,x"}), 415, "unsupported_type"),
        (asked(chat, words("I did it."), role="assistant"), 404, "session_not_found"),
        (asked(chat, words("hello"), role="system"), 400, "empty_message"),
    ]
    for body, status, code in wrong:
        answer = await door.ask("POST", "chat/tools", body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (body, answer.text)
    assert len(model.requests) == requests
    await chunks(door, good)
    for parts in ([words("I did it.")], [approval]):
        answer = await door.ask("POST", "chat/tools", asked(chat, *parts, name="a", role="assistant"))
        assert (answer.status_code, answer.json()["code"]) == (409, "no_pending_confirmation")
    broken = {**approval, "approval": {"id": "x", "approved": "yes"}}
    answer = await door.ask("POST", "chat/tools", asked(chat, broken, name="a", role="assistant"))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_field")
    for method, path in (("POST", "stop"), ("GET", "")):
        answer = await door.ask(method, f"chat/tools/{uuid.uuid4()}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")
    assert (await door.ask("POST", "chat/nobody", good)).json()["code"] == "agent_not_found"
    assert (await door.ask("GET", f"chat/nobody/{chat}/stream")).json()["code"] == "agent_not_found"
    assert (await door.ask("GET", f"chat/tools/{uuid.uuid4()}/stream")).status_code == 204, "`resume` of a new page"


async def test_a_chat_that_was_deleted_does_not_begin_anew(door):
    chat = str(uuid.uuid4())
    await chunks(door, asked(chat, words("hello")))
    session_id = (await door.told("GET", f"chat/tools/{chat}"))["session_id"]
    await door.told("DELETE", f"sessions/{session_id}")
    answer = await door.ask("POST", "chat/tools", asked(chat, words("and more"), name="m-2"))
    assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")
    assert "deleted" in answer.json()["message"]
    for path in ("", "/stream"):
        assert (await door.ask("GET", f"chat/tools/{chat}{path}")).status_code == 404


async def test_a_message_while_a_question_is_open(door, tmp_path):
    chat = str(uuid.uuid4())
    call = "call:write " + json.dumps({"path": str(tmp_path / "written"), "text": "hello"})
    told = await chunks(door, asked(chat, words(call)))
    assert told[-1] == {"type": "finish", "finishReason": "tool-calls"}
    answer = await door.ask("POST", "chat/tools", asked(chat, words("something else"), name="m-2"))
    assert (answer.status_code, answer.json()["code"]) == (409, "session_busy")
    again = await door.ask("GET", f"chat/tools/{chat}/stream")
    assert again.text.count("tool-approval-request") == 1, "whoever comes back is asked again"
    assert len((await door.told("POST", f"chat/tools/{chat}/stop"))["run_ids"]) == 1
