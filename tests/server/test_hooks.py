"""Hooks of agents through the real server, also when it dies."""

from __future__ import annotations

import pytest

from tests.support.conversation import PARTIAL, ended, kinds, only, response, taken_over, turn, whole_log
from tests.support.model_replies import smart, text, tools
from tests.support.strict_endpoint import faults
from tests.support.two_servers import NEVER, SQLITE, two_servers

SERVER = {"files": ("hooked.py",)}


@pytest.fixture(autouse=True)
def sound_model(model):
    model.reset()
    yield
    model.reset()
    model.default = smart


async def test_what_passes_is_an_answer(server, client, model):
    model.script(text("It is noted."))
    session_id = await client.create_session()
    frames = await turn(client, session_id, "my PIN is 1234")
    assert (frames[-1].content, frames[-1].metadata["finish"]) == ("It is noted.", "answer")
    assert PARTIAL not in kinds(frames), "nothing is shown before it has passed"
    asked = model.requests[0].messages
    assert [message["content"] for message in asked] == [f"You serve session {session_id}.", "my PIN is ****"]


async def test_what_is_refused_ends_in_words(server, client, model):
    session_id = await client.create_session()
    end = (await turn(client, session_id, "a rude word"))[-1]
    assert (end.event, end.content, end.metadata["finish"]) == ("agent.final_answer", "Not in this tone.", "refused")
    assert not model.requests
    model.script(text("the secret word"), text("Fine."))
    frames = await turn(client, session_id, "tell me")
    assert (frames[-1].content, frames[-1].metadata["finish"]) == ("I may not say that.", "refused")
    assert "secret" not in str([frame.raw for frame in await whole_log(server, session_id)])
    assert (await turn(client, session_id, "well?"))[-1].content == "Fine."
    said = [message["content"] for message in model.requests[-1].messages]
    assert said[1:] == ["a rude word", "Not in this tone.", "tell me", "I may not say that.", "well?"]


async def test_a_hook_that_fails_ends_the_run_in_words(server, client, model):
    model.script(text("It is broken."))
    error = (await turn(client, await client.create_session(), "how?"))[-1]
    assert (error.event, error.code) == ("agent.error", "hook_failed")
    assert "no_secrets" in error.content and "hunter2" not in error.content


@pytest.mark.parametrize("said", [True, False])
async def test_a_person_is_asked(server, client, model, tmp_path, said):
    model.script(tools(("look", {"at": "vault", "into": str(tmp_path / "seen")})), text("Empty."))
    session_id = await client.create_session()
    run = await client.say(session_id, "look into the vault")
    question = await client.wait_for("agent.user_confirm")
    assert (question.content, question.metadata["tool_name"]) == ("Look into the vault?", "allowed_places")
    await client.send(response(session_id, question, said))
    end = await client.wait_for(ended(run.run_id))
    assert end.content == ("Empty." if said else "The vault stays shut.")
    log = await whole_log(server, session_id)
    assert only(log, "agent.tool_result").metadata["status"] == ("success" if said else "declined")
    assert (tmp_path / "seen").exists() is said


@pytest.mark.parametrize("killed_at", [1, 2, 3])
async def test_hooks_hold_over_the_death_of_a_process(model, tmp_path, killed_at):
    seen = tmp_path / "seen"
    calls = [tools(("look", {"at": at, "into": str(seen)})) for at in ("yard", "house")]
    replies = [*calls, text("the secret")]
    model.script(*replies[: killed_at - 1], text("the secr", hang=1), *replies[killed_at - 1 :])
    settings = {"LEASE_SECONDS": NEVER}
    with two_servers(SQLITE, tmp_path, model, files=("hooked.py",), settings=settings) as (first, second):
        session_id, end = await taken_over(first, second, model, "look around, 1234", killed_at=killed_at)
        assert (end.content, end.metadata["finish"]) == ("I may not say that.", "refused")
        # The tool is idempotent: a call whose result was not stored yet runs again.
        assert set(seen.read_text().split()) == {"garden", "house"}
        assert all(request.messages[1]["content"] == "look around, ****" for request in model.requests)
        assert not any(faults(request.body) for request in model.requests)
        log = await whole_log(second, session_id)
        assert [frame.event for frame in log if frame.ends_run] == ["agent.final_answer"]
        assert "secr" not in str([frame.content for frame in log])
