"""Cancelling: whatever goes on stops at once, and the conversation can go on."""

from __future__ import annotations

import pytest

from tests.conftest import connected
from tests.support.conversation import PARTIAL, ended, happens, only, turn, whole_log
from tests.support.model_replies import text, tools

pytestmark = pytest.mark.database


async def cancelled(client, session_id, run_id):
    """Cancel; the frames up to the end of that run."""
    await client.cancel(session_id)
    frames = await client.until(ended(run_id))
    assert frames[-1].event == "agent.interrupted"
    assert frames[-1].content == "The run was cancelled."
    assert frames[-1].metadata == {"run_id": run_id, "reason": "user"}
    return frames


async def goes_on(server, client, session_id, model):
    """The next message is answered, and the history that the model is sent has no open calls."""
    frames = await turn(client, session_id, "and now?")
    assert frames[-1].event == "agent.final_answer", frames[-1]
    messages = model.requests[-1].messages
    asked = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    assert asked == [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    await whole_log(server, session_id)
    return messages


async def test_while_the_model_thinks(server, client, model):
    model.script(answer := text("never", hang=0))
    session_id = await client.create_session()
    run = await client.say(session_id, "hi")
    await happens(answer.gate.entered)
    await cancelled(client, session_id, run.run_id)
    await happens(model.request().disconnected)
    messages = await goes_on(server, client, session_id, model)
    assert [(message["role"], message["content"]) for message in messages[1:]] == [("user", "hi\n\nand now?")]


async def test_while_the_answer_streams(server, client, model):
    model.script(text("one two three four", hang=2))
    session_id = await client.create_session()
    run = await client.say(session_id, "count")
    shown = await client.until(lambda frame: frame.event == PARTIAL and frame.content.endswith("two "))
    await cancelled(client, session_id, run.run_id)
    await happens(model.request().disconnected)
    messages = await goes_on(server, client, session_id, model)
    kept = messages[2]
    assert kept["role"] == "assistant"
    assert kept["content"].startswith("".join(frame.content for frame in shown if frame.event == PARTIAL))


@pytest.mark.parametrize("tool", ["wait", "block"])
async def test_in_a_tool(server, client, model, tool):
    session_id = await client.create_session()
    run = await client.say(session_id, f"call:{tool}")
    await client.wait_for("agent.tool_progress")
    frames = await cancelled(client, session_id, run.run_id)
    result = only(frames, "agent.tool_result")
    assert result.metadata["status"] == "cancelled"
    messages = await goes_on(server, client, session_id, model)
    assert [message["role"] for message in messages[1:]] == ["user", "assistant", "tool", "assistant", "user"]


async def test_one_of_two_tools_is_done(server, client, model):
    model.script(tools(("add", {"a": 1, "b": 2}), ("wait", {})))
    session_id = await client.create_session()
    run = await client.say(session_id, "both")
    before = [await client.wait_for("agent.tool_result"), await client.wait_for("agent.tool_progress")]
    assert before[0].content == "3"
    frames = await cancelled(client, session_id, run.run_id)
    assert (
        only([frame for frame in frames if frame.seq > before[0].seq], "agent.tool_result").metadata["tool"] == "wait"
    )
    messages = await goes_on(server, client, session_id, model)
    assert [message["content"] for message in messages if message["role"] == "tool"][0] == "3"


async def test_while_a_person_is_asked(server, client, model, tmp_path):
    path = tmp_path / "written"
    model.script(tools(("write", {"path": str(path), "text": "x"})))
    session_id = await client.create_session()
    run = await client.say(session_id, "write")
    question = await client.wait_for("agent.user_confirm")
    frames = await cancelled(client, session_id, run.run_id)
    assert only(frames, "agent.tool_result").metadata["status"] == "cancelled"
    await client.respond(session_id, question.step_id, True)
    assert (await client.wait_for("agent.error")).code == "no_pending_confirmation"
    await goes_on(server, client, session_id, model)
    assert not path.exists()


async def test_queued_messages_too(server, client, model):
    model.script(answer := text("never", hang=0))
    session_id = await client.create_session()
    runs = [await client.say(session_id, f"number {number}") for number in range(4)]
    await happens(answer.gate.entered)
    await client.cancel(session_id)
    ends = [await client.wait_for(ended()) for _ in runs]
    assert [frame.run_id for frame in ends] == [run.run_id for run in runs]
    assert {frame.event for frame in ends} == {"agent.interrupted"}
    messages = await goes_on(server, client, session_id, model)
    said = [*(f"number {number}" for number in range(4)), "and now?"]
    assert [message["content"] for message in messages[1:]] == ["\n\n".join(said)]


async def test_with_nothing_running(server, client):
    session_id = await client.create_session()
    reply = await client.request({"event": "user.cancel", "session_id": session_id})
    assert (reply.event, reply.seq, reply.session_id) == ("agent.interrupted", None, session_id)
    assert reply.metadata["reason"] == "idle" and reply.run_id is None
    assert len(await whole_log(server, session_id)) == 1


async def test_from_another_connection(server, client, model):
    model.script(text("one two three", hang=1))
    session_id = await client.create_session()
    run = await client.say(session_id, "hi")
    await client.wait_for(PARTIAL)
    async with connected(server) as other:
        await other.cancel(session_id)
        theirs = await other.wait_for(ended(run.run_id))
    assert await client.wait_for(ended(run.run_id)) == theirs
    await happens(model.request().disconnected)


async def test_again_and_again(server, client, model):
    session_id = await client.create_session()
    for number in range(10):
        model.script(text("one two three", hang=number % 3))
        run = await client.say(session_id, "hi")
        await cancelled(client, session_id, run.run_id)
    model.reset()  # some were cancelled before they asked the model
    await goes_on(server, client, session_id, model)
    assert "ERROR" not in server.log and "WARNING" not in server.log, server.log


async def test_cancel_and_say_in_one_breath(server, client, model):
    model.script(text("one two three", hang=1))
    session_id = await client.create_session()
    first = await client.say(session_id, "hi")
    await client.wait_for(PARTIAL)
    await client.cancel(session_id)
    second = await client.say(session_id, "something else")
    assert second.position == 0
    assert (await client.wait_for(ended(first.run_id))).event == "agent.interrupted"
    assert (await client.wait_for(ended(second.run_id))).content == "You said: something else"


async def test_leaving_is_no_cancel(server, model):
    model.script(answer := text("one two three", hang=1))
    async with connected(server) as client:
        session_id = await client.create_session()
        await client.say(session_id, "hi")
        await client.wait_for(PARTIAL)
    answer.gate.open()
    async with connected(server) as client:
        await client.reconnect(session_id)
        assert (await client.wait_for(ended())).content == "one two three"
