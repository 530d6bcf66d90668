"""Messages and their answers: what a client sees of a run, and what the model sees of a conversation."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import connected
from tests.support.conversation import PARTIAL, ended, kinds, only, refusal, text_of, turn, whole_log
from tests.support.model_replies import Reply, text, tools

pytestmark = pytest.mark.database
SERVER = {"files": ("tools.py", "rejecting.py", "interrupting.py")}


async def test_an_answer(server, client):
    session_id = await client.create_session()
    frames = await turn(client, session_id, "tokens:300 delay:1")
    assert kinds(frames) == ["agent.thinking", PARTIAL, "agent.final_answer"]
    final = frames[-1]
    assert text_of(frames) == final.content == "".join(f"t{number} " for number in range(300))
    partials = [frame for frame in frames if frame.event == PARTIAL]
    assert len(partials) > 3, "streaming must stream"
    assert [frame.metadata["index"] for frame in partials] == list(range(len(partials)))
    assert [frame.metadata["is_final"] for frame in partials] == [False] * (len(partials) - 1) + [True]
    assert len({frame.step_id for frame in partials}) == 1
    assert len({frame.run_id for frame in frames}) == 1 and final.run_id
    assert final.metadata["steps"] == 1 and final.metadata["finish"] == "answer"
    assert final.metadata["usage"] == {"input_tokens": 7, "output_tokens": 300, "llm_calls": 1}
    assert final.metadata["duration_ms"] > 0
    thinking = frames[0]
    assert (thinking.content, thinking.metadata["step"]) == ("Analysing your question...", 1)
    log = await whole_log(server, session_id)
    assert [frame for frame in log if frame.seq > 2] == [frame for frame in frames if frame.seq]


@pytest.mark.parametrize("tokens", [["one"], ["a", "b"], ["a", "b", "c"], list("a long answer in little pieces")])
async def test_no_delta_is_lost_however_fast_the_model_is(server, client, model, tokens):
    session_id = await client.create_session()
    for _ in range(15):
        model.script(Reply(tokens=tokens))
        frames = await turn(client, session_id, "quick")
        assert text_of(frames) == frames[-1].content == "".join(tokens)
    await whole_log(server, session_id)


async def test_accepted_is_told_before_anything_else(client):
    session_id = await client.create_session()
    await client.send({"event": "user.message", "session_id": session_id, "content": "hi"})
    frames = await client.until(ended())
    accepted = frames[0]
    assert (accepted.event, accepted.seq, accepted.session_id) == ("system.notice", None, session_id)
    assert accepted.metadata["action"] == "accepted" and accepted.metadata["position"] == 0
    assert accepted.metadata["message_id"] and "duplicate" not in accepted.metadata
    assert {frame.run_id for frame in frames} == {accepted.metadata["run_id"]}


async def test_a_tool_call(server, client, model):
    session_id = await client.create_session()
    frames = await turn(client, session_id, 'call:add {"a": 2, "b": 40}')
    assert kinds(frames) == [
        *("agent.thinking", "agent.tool_call", "agent.tool_result"),
        *("agent.thinking", PARTIAL, "agent.final_answer"),
    ]
    call, result = only(frames, "agent.tool_call"), only(frames, "agent.tool_result")
    assert call.content == "Calling tool: add"
    assert call.step_id == result.step_id and call.step_id
    assert call.metadata["tool"] == "add" and call.metadata["args"] == {"a": 2, "b": 40}
    assert call.metadata["status"] == "running" and call.metadata["step"] == 1 and call.metadata["call_id"]
    assert (result.content, result.metadata["status"], result.metadata["data"]) == ("42", "success", {"sum": 42})
    assert result.metadata["duration_ms"] >= 0 and "error" not in result.metadata
    final = frames[-1]
    assert final.content == "Result: 42" and final.metadata["steps"] == 2
    assert final.metadata["usage"] == {"input_tokens": 14, "output_tokens": 3, "llm_calls": 2}
    assert [frame.metadata["step"] for frame in frames if frame.event == "agent.thinking"] == [1, 2]
    assert len({frame.run_id for frame in frames}) == 1
    *_, asked, said = model.request(2).messages
    assert asked["tool_calls"][0]["function"]["name"] == "add"
    assert said == {"role": "tool", "content": "42", "tool_call_id": call.metadata["call_id"]}
    await whole_log(server, session_id)


async def test_text_beside_a_tool_call_is_a_step_of_its_own(server, client, model):
    model.script(tools(("add", {"a": 1, "b": 1}), tokens=["Let ", "me ", "see."]), text("It is two."))
    session_id = await client.create_session()
    frames = await turn(client, session_id, "one and one?")
    assert kinds(frames)[:3] == ["agent.thinking", PARTIAL, "agent.tool_call"]
    steps = [frame.step_id for frame in frames if frame.event == PARTIAL]
    assert len(set(steps)) == 2
    first = [frame for frame in frames if frame.event == PARTIAL and frame.metadata["step"] == 1]
    assert "".join(frame.content for frame in first) == "Let me see." and first[-1].metadata["is_final"]
    assert frames[-1].content == text_of(frames) == "It is two."
    await whole_log(server, session_id)


async def test_reasoning_is_shown_as_thinking(client):
    session_id = await client.create_session()
    frames = await turn(client, session_id, "think:hmm-hmm hello")
    thoughts = [frame for frame in frames if frame.metadata.get("reasoning")]
    assert all(frame.event == "agent.thinking" for frame in thoughts)
    assert "".join(frame.content for frame in thoughts) == "hmm-hmm"
    assert [frame.metadata["index"] for frame in thoughts] == list(range(len(thoughts)))
    assert "hmm" not in text_of(frames).removeprefix("You said: think:hmm-hmm")


async def test_steps_are_limited_and_summed_up(client, model):
    for number in range(5):
        model.script(tools(("add", {"a": number, "b": 0})))
    model.script(text("That is what I know."))
    session_id = await client.create_session()
    frames = await turn(client, session_id, "add for ever")
    assert frames[-1].content == "That is what I know."
    assert (frames[-1].metadata["finish"], frames[-1].metadata["steps"]) == ("max_steps", 6)
    assert model.request(6).body["tool_choice"] == "none"
    assert model.request(6).tool_names == model.request(1).tool_names, "declared, since the history has calls of them"


async def test_history_reaches_the_model(client, model):
    session_id = await client.create_session()
    await turn(client, session_id, "my name is Ada")
    await turn(client, session_id, 'call:add {"a": 1, "b": 2}')
    await turn(client, session_id, "what is my name?")
    messages = model.request(4).messages
    assert [message["role"] for message in messages] == [
        *("system", "user", "assistant", "user", "assistant", "tool", "assistant", "user")
    ]
    assert [message["content"] for message in messages if message["role"] == "user"][0] == "my name is Ada"
    assert messages[2]["content"] == "You said: my name is Ada"
    assert messages[4]["tool_calls"][0]["id"] == messages[5]["tool_call_id"]
    other = await client.create_session()
    await turn(client, other, "who am I?")
    assert len(model.request(5).messages) == 2, "another session is another conversation"


async def test_messages_wait_and_are_answered_in_order(server, client, model):
    model.script(first := text("first answer", hang=1))
    session_id = await client.create_session()
    runs = [await client.say(session_id, f"message {number}") for number in range(11)]
    assert [run.position for run in runs] == list(range(11))
    assert len({run.run_id for run in runs}) == 11
    frame = await refusal(client, message(session_id, "one too many", "late"))
    assert (frame.event, frame.code) == ("agent.error", "session_busy")
    assert frame.metadata["request"] == "user.message"
    first.gate.open()
    answers = []
    while len(answers) < 11:
        answers.append(await client.wait_for(ended()))
    assert [frame.run_id for frame in answers] == [run.run_id for run in runs]
    assert [frame.content for frame in answers] == [
        "first answer",
        *(f"You said: message {number}" for number in range(1, 11)),
    ]
    # A message has its place in the history behind the answer before it, not where it was sent.
    said = [message["content"] for message in model.request(11).messages]
    assert said[1:5] == ["message 0", "first answer", "message 1", "You said: message 1"]
    # The refused one did not use up its id.
    again = await client.say(session_id, "one too many", "late")
    assert not again.duplicate and again.message_id == "late"
    assert (await client.wait_for(ended(again.run_id))).content == "You said: one too many"
    await whole_log(server, session_id)


def message(session_id, text, message_id=None):
    metadata = {"message_id": message_id} if message_id else {}
    return {"event": "user.message", "session_id": session_id, "content": text, "metadata": metadata}


async def test_the_same_message_twice_runs_once(server, client, model):
    session_id = await client.create_session()
    first = await client.say(session_id, "do it", "m-1")
    frames = await client.until(ended(first.run_id))
    again = await client.say(session_id, "do it", "m-1")
    assert again.duplicate and (again.run_id, again.message_id) == (first.run_id, "m-1")
    async with connected(server) as other:
        third = await other.say(session_id, "do it", "m-1")
        assert third.duplicate and third.run_id == first.run_id
    assert len(model.requests) == 1
    assert (await whole_log(server, session_id))[-1] == frames[-1]
    elsewhere = await client.create_session()
    other_run = await client.say(elsewhere, "do it", "m-1")
    assert not other_run.duplicate
    await client.until(ended(other_run.run_id))


async def test_the_same_message_at_the_same_time_runs_once(server, model):
    async with connected(server) as client:
        session_id = await client.create_session()

        async def say():
            async with connected(server) as other:
                return await other.say(session_id, "do it", "m-1")

        answers = await asyncio.gather(*(say() for _ in range(8)))
        assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 7
        assert len({answer.run_id for answer in answers}) == 1
        await client.wait_for(ended())
    assert len(model.requests) == 1


@pytest.mark.parametrize("content", ["", "   \n\t", [], [{"type": "text", "text": " "}], {"text": ""}])
async def test_blank_messages_are_refused(server, client, model, content):
    session_id = await client.create_session()
    frame = await refusal(client, {"event": "user.message", "session_id": session_id, "content": content})
    assert (frame.event, frame.code, frame.session_id) == ("agent.error", "empty_message", session_id)
    assert len(await whole_log(server, session_id)) == 1 and model.requests == []


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ({"text": "in an object"}, "in an object"),
        ({"question": "a question", "plan": 1}, "a question"),
        ({"content": "content of content"}, "content of content"),
        ([{"type": "text", "text": "a part"}], [{"type": "text", "text": "a part"}]),
        ([{"type": "text", "text": "see"}, PICTURE], [{"type": "text", "text": "see"}, PICTURE]),
        ([{"type": "image_url", "image_url": "http://x/y.png"}], [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]),
        ("北京今天天气怎么样？ 🌦", "北京今天天气怎么样？ 🌦"),
        ("nul \x00 inside", "nul \N{REPLACEMENT CHARACTER} inside"),
    ],
)  # fmt: skip
async def test_shapes_of_content(server, client, model, content, wanted):
    session_id = await client.create_session()
    await client.request({"event": "user.message", "session_id": session_id, "content": content})
    await client.wait_for("agent.final_answer")
    assert model.request().messages[-1] == {"role": "user", "content": wanted}
    log = await whole_log(server, session_id)
    assert only(log, "user.message").content == wanted
    await turn(client, session_id, "and now?")
    assert model.request(2).messages[1] == {"role": "user", "content": wanted}, "also as history"


async def test_own_messages_come_back_on_replay_only(server, client):
    session_id = await client.create_session()
    async with connected(server) as other:
        await other.reconnect(session_id)
        frames = await turn(client, session_id, "hello")
        assert "user.message" not in kinds(frames)
        said = await other.wait_for("user.message")
        assert said.content == "hello" and said.run_id == frames[-1].run_id
        assert said.metadata["message_id"]
    log = await whole_log(server, session_id)
    assert only(log, "user.message") == said
    # Also on the connection that sent it, when it asks for the log.
    await client.send({"event": "user.reconnect", "session_id": session_id, "last_seq": 0})
    replay = await client.wait_for(lambda frame: frame.metadata.get("action") == "replay")
    assert replay.metadata["replayed"] == len(log)


async def test_an_agent_may_refuse_while_it_is_busy(client, model):
    model.script(answer := text("one two", hang=1))
    session_id = await client.create_session("rejecting")
    accepted = await client.say(session_id, "first")
    frame = await refusal(client, message(session_id, "second", "m-2"))
    assert frame.code == "session_busy"
    answer.gate.open()
    await client.wait_for(ended(accepted.run_id))
    accepted = await client.say(session_id, "second", "m-2")
    assert not accepted.duplicate
    await client.wait_for(ended(accepted.run_id))  # else its request may come to the next test


async def test_an_agent_may_drop_what_it_does(server, client, model):
    model.script(text("one two three", hang=2))
    session_id = await client.create_session("interrupting")
    first = await client.say(session_id, "first")
    await client.wait_for(PARTIAL)
    second = await client.say(session_id, "second")
    assert second.position == 0
    interrupted = await client.wait_for(ended(first.run_id))
    assert (interrupted.event, interrupted.metadata["reason"]) == ("agent.interrupted", "new_message")
    assert (await client.wait_for(ended(second.run_id))).content == "You said: second"
    roles = [(said["role"], said["content"]) for said in model.request(2).messages[1:]]
    assert roles[0] == ("user", "first") and roles[-1] == ("user", "second")
    assert roles[1][0] == "assistant" and roles[1][1].startswith("one ")
    await whole_log(server, session_id)
    assert "Traceback" not in server.log and "failed" not in server.log


async def test_many_turns_leave_a_quiet_log(server, client):
    session_id = await client.create_session()
    for number in range(5):
        await client.say(session_id, f"number {number}")
    for _ in range(5):
        await client.wait_for(ended())
    assert "WARNING" not in server.log and "ERROR" not in server.log, server.log
