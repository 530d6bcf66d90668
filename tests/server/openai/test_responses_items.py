"""Clients of OpenAI's Responses API that name no response, and post the items of earlier ones instead."""

from __future__ import annotations

import json
import uuid

import openai
import pytest

from tests.support.openai_door import approvals, user

SERVER = {
    "files": ("tools.py", "second.py"),
    "settings": {"GRANTS_SECONDS": 0.1, "HEARTBEAT_SECONDS": 0.2},
    "options": ("--language", "en"),
}
pytestmark = pytest.mark.database


def referred(item):
    return {"type": "item_reference", "id": item.id}


def posted(item):
    return item.model_dump(mode="json", exclude_none=True)


@pytest.mark.parametrize("form", [referred, posted])
async def test_items_say_which_conversation_goes_on(form, ann, door, model):
    first = await ann.responses.create(model="tools", input="call:steps")
    history = [user("call:steps"), *map(form, first.output)]
    second = await ann.responses.create(model="tools", input=[*history, user("hello")])
    assert second.conversation == first.conversation
    assert "Result: all done" in json.dumps(model.requests[-1].body)
    history += [user("hello"), *map(form, second.output)]
    third = await ann.responses.create(model="tools", input=[*history, user("on")], store=False)
    assert third.conversation == first.conversation
    branch = await ann.responses.create(model="tools", input=[*history, user("other")])
    assert branch.conversation != first.conversation, "behind one that is not the newest"
    sent = json.dumps(model.requests[-1].body)
    assert "You said: hello" in sent and "You said: on" not in sent
    said = [one.content for one in await door.log(branch.conversation.id) if one.event == "user.message"]
    assert said == ["call:steps", "hello", "other"]


async def test_what_else_names_a_conversation_counts_first(ann):
    first = await ann.responses.create(model="tools", input="one")
    asked = {"model": "tools", "input": [user("one"), *map(referred, first.output), user("two")]}
    other = await ann.responses.create(model="tools", input="else")
    for names in (
        {"previous_response_id": other.id},
        {"conversation": other.conversation.id},
        {"metadata": {"session_id": other.conversation.id}},
        {"extra_headers": {"X-MyAgent-Session": other.conversation.id}},
    ):
        answer = await ann.responses.create(**asked, **names)
        assert answer.conversation == other.conversation
    chat = {"X-MyAgent-Conversation": str(uuid.uuid4())}
    assert (await ann.responses.create(**asked, extra_headers=chat)).conversation != first.conversation
    aside = await ann.responses.create(**asked, extra_headers={"X-Task": "title_generation"})
    assert aside.conversation != first.conversation, "what a user interface asks for itself"


async def test_items_of_others_and_of_other_agents_are_texts(ann, bob, model):
    first = await ann.responses.create(model="tools", input="one")
    asked = [user("one"), *map(posted, first.output), user("two")]
    for client, agent in ((bob, "tools"), (ann, "second")):
        answer = await client.responses.create(model=agent, input=asked)
        assert answer.conversation != first.conversation
        assert "You said: one" in json.dumps(model.requests[-1].body)
    odd = [{"type": "item_reference", "id": name} for name in ("msg_x_1", "msg_" + "0" * 32, "mcpr_none", "x", "")]
    answer = await ann.responses.create(model="tools", input=[*odd, {"type": "item_reference"}, user("three")])
    assert answer.output_text == "You said: three"


@pytest.mark.parametrize("form", [referred, posted, None])
async def test_an_answer_says_itself_what_it_answers(form, ann, bob, tmp_path):
    path = tmp_path / "written"
    call = "call:write " + json.dumps({"path": str(path), "text": "hello"})
    # Some clients take no question of a server that they have not named among the tools.
    own = [{"type": "mcp", "server_label": "myagent", "server_url": "https://agents.example.com/v1"}]
    first = await ann.responses.create(model="tools", input=call, tools=own)
    history = [user(call), *map(form, first.output)] if form else []
    asked = {"model": "tools", "input": [*history, *approvals(first, True)], "tools": own}
    with pytest.raises(openai.NotFoundError):
        await bob.responses.create(**asked)
    assert not path.exists()
    second = await ann.responses.create(**asked)
    assert (second.output_text, path.read_text()) == ("Result: wrote hello", "hello")
    assert second.conversation == first.conversation


@pytest.mark.parametrize(
    "tools",
    [
        [{"type": "mcp", "server_label": "other", "server_url": "https://example.com"}],
        [{"type": "mcp", "server_label": "myagent"}, {"type": "web_search"}],
        {"type": "mcp", "server_label": "myagent"},
        ["myagent"],
    ],
)
async def test_other_tools_than_those_of_the_agent_are_refused(tools, ann):
    with pytest.raises(openai.BadRequestError) as refused:
        await ann.responses.create(model="tools", input="hello", tools=tools)
    assert refused.value.code == "not_supported"
