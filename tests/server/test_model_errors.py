"""A model that refuses, breaks off or is not there: one error with words for people, and the session lives on."""

from __future__ import annotations

import pytest

from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, ended, kinds, only, text_of, turn, whole_log
from tests.support.model_replies import Raw, Silence, Status, smart, text, tools

NOW = {"Retry-After": "0"}


@pytest.fixture(autouse=True)
def sound_model(model):
    """Whatever a test does to the model, the next one finds it in order."""
    yield
    model.default = smart


async def fails(client, session_id, code):
    """One turn that ends in an error with that code; its frames."""
    frames = await turn(client, session_id, "hi")
    assert frames[-1].event == "agent.error" and frames[-1].code == code, frames[-1]
    assert [frame.event for frame in frames].count("agent.error") == 1
    assert frames[-1].run_id and frames[-1].content
    assert "Traceback" not in frames[-1].content and "sk-test" not in frames[-1].content
    return frames


async def works(server, client, session_id):
    frames = await turn(client, session_id, "and now?")
    # A message that was not answered is sent with the next one.
    assert frames[-1].content in ("You said: and now?", "You said: hi\n\nand now?")
    await whole_log(server, session_id)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status(401, "bad key sk-test-key-of-nobody"), "llm_auth"),
        (Status(403), "llm_auth"),
        (Status(404, "no such model"), "llm_not_found"),
        (Status(400, "temperature must be cold"), "llm_rejected"),
    ],
)
async def test_refusals_of_the_model(server, client, model, status, code):
    model.script(status)
    session_id = await client.create_session()
    await fails(client, session_id, code)
    assert len(model.requests) == 1, "asking again would not help"
    await works(server, client, session_id)


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_model_that_stays_broken(server, client, model, status):
    model.default = lambda body: Status(status, headers=NOW)
    session_id = await client.create_session()
    await fails(client, session_id, "llm_unavailable")
    assert len(model.requests) > 1
    model.default = smart
    await works(server, client, session_id)


async def test_a_model_that_recovers_is_not_an_error(server, client, model):
    model.script(Status(500, headers=NOW), Status(429, headers=NOW))
    session_id = await client.create_session()
    frames = await turn(client, session_id, "hi")
    assert kinds(frames) == ["agent.thinking", PARTIAL, "agent.final_answer"]
    assert len(model.requests) == 3


async def test_a_stream_that_is_cut_is_asked_again(server, client, model):
    model.script(text("one two three four five", cut=3), text("one and then two"))
    session_id = await client.create_session()
    frames = await turn(client, session_id, "count")
    reset = only(frames, "agent.step_reset")
    assert reset.metadata["step"] == 1 and reset.metadata["reason"] and reset.run_id == frames[-1].run_id
    void = [frame for frame in frames if frame.event == PARTIAL and frame.seq < reset.seq]
    again = [frame for frame in frames if frame.event == PARTIAL and frame.seq > reset.seq]
    assert not {frame.step_id for frame in void} & {frame.step_id for frame in again}
    assert "one two three ".startswith(text_of(void)) and not any(frame.metadata["is_final"] for frame in void)
    assert text_of(frames) == frames[-1].content == "one and then two"
    await works(server, client, session_id)
    assert model.requests[-1].messages[2]["content"] == "one and then two"


async def test_a_stream_that_is_always_cut(server, client, model):
    model.default = lambda body: text("one two three", cut=2)
    session_id = await client.create_session()
    frames = await fails(client, session_id, "llm_unavailable")
    assert kinds(frames).count("agent.step_reset") == 2
    model.default = smart
    await works(server, client, session_id)


async def test_an_answer_that_is_no_answer(server, client, model):
    model.script(Raw(b"<html>login</html>", "text/html"))
    session_id = await client.create_session()
    await fails(client, session_id, "llm_not_found")
    await works(server, client, session_id)


async def test_an_error_after_a_tool_call_keeps_the_call(server, client, model):
    model.script(tools(("add", {"a": 1, "b": 2})), Status(401))
    session_id = await client.create_session()
    frames = await turn(client, session_id, "add")
    assert kinds(frames) == ["agent.thinking", "agent.tool_call", "agent.tool_result", "agent.thinking", "agent.error"]
    await works(server, client, session_id)
    assert [message["role"] for message in model.requests[-1].messages] == [
        *("system", "user", "assistant", "tool", "assistant", "user")
    ]


async def test_queued_messages_are_answered_after_an_error(client, model):
    # The silent one answers 503 in the end, and is asked again.
    model.script(broken := Silence(), Status(401), text("second answer"))
    session_id = await client.create_session()
    runs = [await client.say(session_id, "first"), await client.say(session_id, "second")]
    broken.gate.open()
    ends = [await client.wait_for(ended()) for _ in runs]
    assert [(frame.run_id, frame.code) for frame in ends] == [(runs[0].run_id, "llm_auth"), (runs[1].run_id, None)]
    assert ends[1].content == "second answer"


async def test_nobody_listens_there(tmp_path):
    nobody = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "sk-test-key-of-nobody"}
    with AgentServer(tmp_path, "tools.py", environment=nobody) as server:
        async with connected(server) as client:
            session_id = await client.create_session()
            frames = await fails(client, session_id, "llm_unreachable")
            assert "http://127.0.0.1:9/v1" in frames[-1].content
            await whole_log(server, session_id)


async def test_no_key(tmp_path):
    with AgentServer(tmp_path, "tools.py") as server:
        assert "OPENAI_API_KEY" in server.banner
        async with connected(server) as client:
            session_id = await client.create_session()
            frames = await fails(client, session_id, "llm_not_configured")
            assert "OPENAI_API_KEY" in frames[-1].content
            await whole_log(server, session_id)
            assert "Traceback" not in server.log
