"""Asking a person: yes, no, silence, and everything that is neither."""

from __future__ import annotations

import json

import pytest

from tests.conftest import connected
from tests.support.conversation import ended, only, refusal, response, whole_log

pytestmark = pytest.mark.database


@pytest.fixture
def path(tmp_path):
    return tmp_path / "written"


async def asked(client, path, tool="write", **more):
    """A session whose run waits for a person; its id and the question."""
    session_id = await client.create_session()
    arguments = {"path": str(path), **({"text": "hello"} if tool == "write" else {}), **more}
    await client.say(session_id, f"call:{tool} {json.dumps(arguments)}")
    return session_id, await client.wait_for("agent.user_confirm")


async def test_the_question(server, client, path):
    session_id, question = await asked(client, path)
    call = await client.wait_for("agent.tool_call")
    assert question.content == "Allow the call of write?"
    assert question.step_id != call.step_id and question.seq > call.seq
    assert question.metadata == {
        "run_id": call.run_id,
        "tool_name": "write",
        "tool_description": "Writes a file, if a person allows it.",
        "tool_args": {"path": str(path), "text": "hello"},
        "requires_confirmation": True,
        "scope": "tool",
        "timeout_seconds": 300,
        "call_step_id": call.step_id,
    }
    async with connected(server) as other:
        assert (await other.reconnect(session_id)).run_status == "waiting"
        # Who comes later is asked, too.
        assert await other.wait_for("agent.user_confirm") == question
    assert not path.exists()


@pytest.mark.parametrize(
    "content", [{"confirmed": True}, {"approved": True}, True, {"confirmed": True, "approved": True}]
)
async def test_yes(server, client, path, content):
    session_id, question = await asked(client, path)
    assert not path.exists(), "never before the yes"
    await client.send(response(session_id, question, content))
    frames = await client.until(ended())
    assert only(frames, "agent.tool_result").metadata["status"] == "success"
    assert frames[-1].content == "Result: wrote hello" and path.read_text() == "hello"
    answer = only(await whole_log(server, session_id), "user.response")
    assert (answer.step_id, answer.content) == (question.step_id, {"confirmed": True})
    assert answer.run_id == question.run_id


@pytest.mark.parametrize("content", [{"confirmed": False}, {"approved": False}, False])
async def test_no(server, client, path, content):
    session_id, question = await asked(client, path)
    await client.send(response(session_id, question, content))
    frames = await client.until(ended())
    result = only(frames, "agent.tool_result")
    assert result.metadata["status"] == "declined" and "declined" in result.content
    assert frames[-1].event == "agent.final_answer"
    assert not path.exists()
    await whole_log(server, session_id)


async def test_no_with_a_reason_reaches_the_model(client, model, path):
    session_id, question = await asked(client, path)
    await client.respond(session_id, question.step_id, False, reason="not on a Friday")
    await client.until(ended())
    assert "not on a Friday" in model.request(2).messages[-1]["content"]


async def test_yes_with_other_arguments(server, client, path):
    session_id, question = await asked(client, path.with_name("elsewhere"))
    await client.respond(session_id, question.step_id, True, args={"path": str(path), "text": "edited"})
    frames = await client.until(ended())
    assert only(frames, "agent.tool_result").content == "wrote edited"
    assert path.read_text() == "edited" and not path.with_name("elsewhere").exists()
    await whole_log(server, session_id)


async def test_other_arguments_are_checked(server, client, path):
    session_id, question = await asked(client, path)
    await client.respond(session_id, question.step_id, True, args={"path": str(path)})
    frames = await client.until(ended())
    result = only(frames, "agent.tool_result")
    assert result.metadata["status"] == "failed" and "text" in result.content
    assert not path.exists()
    await whole_log(server, session_id)


UNCLEAR = [
    *(None, "yes", 1, [], {}, {"confirmed": "true"}, {"confirmed": 1}, {"confirmed": None}, {"answer": True}),
    *({"confirmed": True, "approved": False}, {"confirmed": True, "args": [1]}, {"confirmed": False, "reason": 5}),
]


async def test_what_is_unclear_is_no_consent(client, path):
    session_id, question = await asked(client, path)
    for content in UNCLEAR:
        frame = await refusal(client, response(session_id, question, content))
        assert (frame.event, frame.code, frame.metadata["request"]) == (
            "system.error",
            "bad_field",
            "user.response",
        ), content
    without = response(session_id, question, True)
    del without["step_id"]
    assert (await refusal(client, without)).code == "missing_field"
    assert not path.exists()
    await client.respond(session_id, question.step_id, True)
    await client.wait_for(ended())
    assert path.read_text() == "hello", "it stayed open"


async def test_only_the_first_answer_counts(server, client, path):
    session_id, question = await asked(client, path)
    await client.respond(session_id, question.step_id, False)
    for step_id in (question.step_id, "unknown", question.metadata["call_step_id"]):
        event = {**response(session_id, question, True), "step_id": step_id}
        frame = await refusal(client, event)
        assert (frame.event, frame.code) == ("agent.error", "no_pending_confirmation")
    frames = await client.until(ended())
    assert only([frame for frame in frames if frame.seq], "agent.tool_result").metadata["status"] == "declined"
    assert not path.exists()
    assert len([frame for frame in await whole_log(server, session_id) if frame.event == "user.response"]) == 1


async def test_an_answer_for_another_session(client, path):
    _session_id, question = await asked(client, path)
    other_id = await client.create_session()
    assert (await refusal(client, response(other_id, question, True))).code == "no_pending_confirmation"
    assert not path.exists()


async def test_silence_is_a_no(server, client, path):
    session_id, question = await asked(client, path, "hasty")
    assert question.metadata["timeout_seconds"] == 0.3
    frames = await client.until(ended())
    result = only(frames, "agent.tool_result")
    assert result.metadata["status"] == "declined" and "in time" in result.content
    assert (await refusal(client, response(session_id, question, True))).code == "no_pending_confirmation"
    assert not path.exists()
    await whole_log(server, session_id)


async def test_another_connection_answers(server, client, path):
    session_id, question = await asked(client, path)
    async with connected(server) as other, connected(server) as third:
        await third.reconnect(session_id)
        await other.respond(session_id, question.step_id, True)
        answers = [await tab.wait_for("user.response") for tab in (client, third)]
        assert answers[0] == answers[1] and answers[0].content == {"confirmed": True}
        frames = await other.until(ended())
        assert "user.response" not in [frame.event for frame in frames], "it knows what it said"
    assert (await client.wait_for(ended())).content == "Result: wrote hello"


async def test_two_questions_at_once(server, client, path):
    session_id = await client.create_session()
    paths = [path.with_name(name) for name in ("first", "second")]
    await client.say(
        session_id, "\n".join(f"call:write {json.dumps({'path': str(path), 'text': 'x'})}" for path in paths)
    )
    questions = [await client.wait_for("agent.user_confirm") for _ in paths]
    asked_for = {question.metadata["tool_args"]["path"]: question for question in questions}
    await client.respond(session_id, asked_for[str(paths[1])].step_id, True)
    assert (await client.wait_for("agent.tool_result")).metadata["status"] == "success"
    async with connected(server) as other:
        assert (await other.reconnect(session_id)).run_status == "waiting"
    await client.respond(session_id, asked_for[str(paths[0])].step_id, False)
    await client.wait_for(ended())
    assert [path.exists() for path in paths] == [False, True]
    await whole_log(server, session_id)


@pytest.mark.parametrize("tool", ["ask", "ask_plain"])
@pytest.mark.parametrize("answer", [True, False])
async def test_a_tool_asks_while_it_runs(server, client, tool, answer):
    session_id = await client.create_session()
    await client.say(session_id, f'call:{tool} {{"question": "Really?"}}')
    question = await client.wait_for("agent.user_confirm")
    assert question.content == "Really?" and question.metadata["tool_name"] == tool
    assert (await client.wait_for("agent.tool_call")).step_id == question.metadata["call_step_id"]
    await client.respond(session_id, question.step_id, answer)
    frames = await client.until(ended())
    assert only(frames, "agent.tool_result").content == ("yes" if answer else "no")
    await whole_log(server, session_id)


@pytest.mark.parametrize("tool", ["ask_carelessly", "ask_plain_carelessly"])
async def test_a_forgotten_await_fails_the_call_and_names_the_tool(server, client, tool):
    session_id = await client.create_session()
    await client.say(session_id, f'call:{tool} {{"question": "Really?"}}')
    frames = await client.until(ended())
    result = only(frames, "agent.tool_result")
    assert result.metadata["status"] == "failed" and "ConfirmNotAwaited" in result.content
    assert "agent.user_confirm" not in [frame.event for frame in frames]
    log = server.wait_log("nobody was asked")
    assert f"The tool '{tool}' of agent 'tools' failed." in log and "`await run.confirm(…)`" in log
    await whole_log(server, session_id)


async def test_messages_wait_while_a_person_is_asked(client, path):
    session_id, question = await asked(client, path)
    second = await client.say(session_id, "are you there?")
    assert second.position == 1
    await client.respond(session_id, question.step_id, True)
    await client.wait_for(ended(question.run_id))
    assert (await client.wait_for(ended(second.run_id))).content == "You said: are you there?"
