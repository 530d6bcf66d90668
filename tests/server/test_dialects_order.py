"""Whatever a reply or a user did to a session: the strictest endpoint takes its next message."""

from __future__ import annotations

import pytest

from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.conversation import ended, happens, only, turn, whole_log
from tests.support.model_replies import Status, text, tools
from tests.support.strict_endpoint import strict

SERVER = {"files": ("tools.py", "brief.py")}


@pytest.fixture(autouse=True)
def guarded(server, model):
    """The endpoint is strict; nothing that it was sent may have been refused."""
    model.guard = strict
    yield
    assert [request.body["messages"] for request in model.refused] == []


async def goes_on(client, session_id):
    """The next two messages of the session are answered."""
    for words in ("and now?", "thanks"):
        assert (await turn(client, session_id, words))[-1].content == f"You said: {words}"


async def test_a_stop_in_a_tool(client, model):
    session_id = await client.create_session()
    model.script(tools(("wait", {})))
    run = await client.say(session_id, "wait")
    await client.wait_for("agent.tool_progress")
    await client.cancel(session_id)
    assert (await client.wait_for(ended(run.run_id))).event == "agent.interrupted"
    await goes_on(client, session_id)


async def test_a_stop_before_the_first_word(client, model):
    session_id = await client.create_session()
    model.script(held := text("never", hang=0))
    run = await client.say(session_id, "first")
    await happens(held.gate.entered)
    await client.cancel(session_id)
    assert (await client.wait_for(ended(run.run_id))).event == "agent.interrupted"
    model.script(text("both"))
    assert (await turn(client, session_id, "second"))[-1].content == "both"
    assert model.requests[-1].messages[-1]["content"] == "first\n\nsecond"
    await goes_on(client, session_id)


async def test_a_first_request_that_fails(client, model):
    session_id = await client.create_session()
    model.script(Status(401, "no such key"))
    assert (await turn(client, session_id, "first"))[-1].code == "llm_auth"
    model.script(text("both"))
    assert (await turn(client, session_id, "second"))[-1].content == "both"
    assert model.requests[-1].messages[-1]["content"] == "first\n\nsecond"
    await goes_on(client, session_id)


async def test_messages_that_were_stopped_in_the_queue(client, model):
    session_id = await client.create_session()
    model.script(held := text("one two", hang=1))
    await client.say(session_id, "first")
    await happens(held.gate.entered)
    await client.say(session_id, "second")
    last = await client.say(session_id, "third")
    await client.cancel(session_id)
    await client.wait_for(ended(last.run_id))
    model.script(text("all of it"))
    assert (await turn(client, session_id, "fourth"))[-1].content == "all of it"
    asked = [message["content"] for message in model.requests[-1].messages if message["role"] == "user"]
    assert asked == ["first", "second\n\nthird\n\nfourth"]
    await goes_on(client, session_id)


async def test_terminate_with_words_beside_it(server, model):
    async with connected(server, "ws/brief/") as client:
        session_id = await client.create_session()
        model.script(tools(("terminate", {"status": "success"}), tokens=["Enjoy ", "it."]))
        end = (await turn(client, session_id, "bye"))[-1]
        assert (end.content, end.metadata["finish"]) == ("Enjoy it.", "terminate")
        await goes_on(client, session_id)


@pytest.mark.parametrize(
    "arguments", ['{"a": 1, "b"', "add one and two", "[1, 2]", '"text"', "{'a': 1, 'b': 2}", '{"a": NaN, "b": 1}']
)
async def test_broken_arguments(client, model, server, arguments):
    session_id = await client.create_session()
    model.script(tools(("add", arguments)), text("How many?"))
    frames = await turn(client, session_id, "add")
    assert only(frames, "agent.tool_result").metadata["status"] == "failed"
    assert frames[-1].content == "How many?"
    assert arguments in model.requests[-1].messages[-1]["content"], "the model is told what it sent"
    await goes_on(client, session_id)
    with Backstage(server) as backstage:
        with_calls = "Message.objects.filter(session_id=session_id, tool_calls__isnull=False)"
        stored = backstage.do(f"result = [row.tool_calls for row in {with_calls}]", session_id=session_id)
    assert [call["arguments"] for calls in stored for call in calls] == [arguments], "the admin has what was said"


@pytest.mark.parametrize("arguments", ["", "null", " "])
async def test_no_arguments_for_a_tool_that_takes_none(client, model, arguments):
    session_id = await client.create_session()
    model.script(tools(("recall", arguments)), text("done"))
    frames = await turn(client, session_id, "recall")
    assert only(frames, "agent.tool_result").metadata["status"] == "success"
    await goes_on(client, session_id)


@pytest.mark.parametrize("name", ["multi_tool_use.parallel", "add_" * 20, "加", "add numbers", "<|call|>add"])
async def test_names_that_no_tool_can_have(client, model, name):
    session_id = await client.create_session()
    model.script(tools((name, {"a": 1})), text("One at a time."))
    frames = await turn(client, session_id, "add")
    assert only(frames, "agent.tool_call").metadata["tool"] == name, "the log has what was said"
    assert only(frames, "agent.tool_result").metadata["status"] == "failed"
    assert frames[-1].content == "One at a time."
    await goes_on(client, session_id)


@pytest.mark.parametrize("call_id", ["call_0", "add:0", "functions.add:0", "1"])
async def test_ids_that_begin_again(client, model, call_id):
    session_id = await client.create_session()
    for number in range(3):
        model.script(tools(("add", {"a": number, "b": 1}), call_ids=[call_id]))
        assert (await turn(client, session_id, "add"))[-1].content == f"Result: {number + 1}"
    results = [message["content"] for message in model.requests[-1].messages if message["role"] == "tool"]
    assert results == ["1", "2", "3"]
    await goes_on(client, session_id)


async def test_a_tool_without_words(server, model):
    async with connected(server, "ws/brief/") as client:
        session_id = await client.create_session()
        model.script(tools(("sweep", {})), text("Clean."))
        frames = await turn(client, session_id, "sweep")
        assert only(frames, "agent.tool_result").content == ""
        assert frames[-1].content == "Clean."
        await goes_on(client, session_id)


async def test_the_prompt_of_every_step_is_in_the_one_system_message(server, model):
    async with connected(server, "ws/brief/") as client:
        session_id = await client.create_session()
        assert (await turn(client, session_id, "hello"))[-1].content == "You said: hello"
        assert model.requests[-1].messages[0] == {
            "role": "system",
            "content": "You are brief.\n\nUse one tool, or answer.",
        }
        await goes_on(client, session_id)


# --- the summing-up ---


def refuses(words, *rules):
    """A strict endpoint that also refuses requests to which one of these rules applies."""
    return lambda body: strict(body) or (Status(400, words) if any(rule(body) for rule in rules) else None)


def chooses(body):
    return "tool_choice" in body


def has_calls_without_tools(body):
    return "tools" not in body and any("tool_calls" in message for message in body["messages"])


async def summed_up(server, model, times=1):
    async with connected(server, "ws/brief/") as client:
        session_id = await client.create_session()
        for _ in range(times):
            model.script(tools(("look", {"what": "x"})), text("Saw x."))
            end = (await turn(client, session_id, "look"))[-1]
            assert (end.content, end.metadata["finish"]) == ("Saw x.", "max_steps")
        request = model.requests[-1].body
        await goes_on(client, session_id)
    log = await whole_log(server, session_id)
    assert all("limit of steps" not in str(frame.content) for frame in log), "the note is the server's own"
    return request


async def test_the_summing_up_keeps_the_tools_declared(server, model):
    request = await summed_up(server, model, times=2)
    assert request["tool_choice"] == "none"
    assert [tool["function"]["name"] for tool in request["tools"]] == ["look", "sweep", "terminate"]
    assert [message["role"] for message in request["messages"][-3:]] == ["tool", "assistant", "user"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((has_calls_without_tools,), {"tools", "tool_choice"}),
        ((chooses,), set()),
        ((chooses, has_calls_without_tools), {"tools"}),
    ],
)
async def test_what_the_endpoint_refuses_of_a_summing_up_is_left_out(model, tmp_path, rules, expected):
    with AgentServer(tmp_path, *SERVER["files"], model=model) as server:
        model.guard = refuses("unsupported", *rules)
        request = await summed_up(server, model, times=2)
    assert request.keys() & {"tools", "tool_choice"} == expected
    assert len(model.refused) <= 2, "it is found out once"
    model.refused.clear()
