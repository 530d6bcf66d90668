"""Messages to a run that is going, through a real server: read in the middle of it, or after it, or taken back."""

from __future__ import annotations

from collections import Counter

import pytest

from myagent.client.wire import message
from tests.conftest import connected
from tests.support.conversation import ended, happens, only, refusal, turn, whole_log
from tests.support.model_replies import text, tools

pytestmark = pytest.mark.database
SERVER = {"files": ("steered.py", "tools.py"), "options": ("--allow-anonymous",)}
RACES = 40


def said(request):
    return [(item["role"], item["content"]) for item in request.messages if item["role"] == "user"]


@pytest.fixture
async def steered(client):
    return await client.create_session("steered")


async def test_a_run_reads_it_before_it_asks_the_model_again(server, client, model, steered):
    model.script(tools(("wait_for_word", {})), text("as you say"))
    run = await client.say(steered, "go", "m-1")
    asked = await client.wait_for("agent.user_confirm")
    accepted = await client.say(steered, "but briefly", "s-1")
    assert (accepted.mode, accepted.run_id, accepted.position) == ("steer", run.run_id, 0)
    again = await client.say(steered, "but briefly", "s-1")
    assert (again.duplicate, again.mode) == (True, "steer")
    await client.respond(steered, asked.step_id, True)
    logged = await client.wait_for("user.message")
    assert (logged.content, logged.run_id, logged.metadata["message_id"]) == ("but briefly", run.run_id, "s-1")
    assert (await client.wait_for(ended(run.run_id))).content == "as you say"
    roles = [item["role"] for item in model.request(2).messages[1:]]
    assert (roles[:3], roles[-1]) == (["user", "assistant", "tool"], "user")
    assert said(model.request(2)) == [("user", "go"), ("user", "but briefly")]
    log = await whole_log(server, steered)
    assert [frame.event for frame in log if frame.event == "user.message"] == ["user.message"] * 2
    assert (await turn(client, steered, "and now?"))[-1].content == "You said: and now?"


async def test_a_run_that_ends_first_is_followed_by_its_answer(client, model, steered):
    model.script(answer := text("one two", hang=1), text("three"))
    run = await client.say(steered, "go")
    await happens(answer.gate.entered)
    accepted = await client.say(steered, "more", "s-1")
    assert accepted.mode == "steer"
    answer.gate.open()
    await client.wait_for(ended(run.run_id))
    logged = await client.wait_for("user.message")
    assert (logged.content, logged.metadata["message_id"]) == ("more", "s-1") and logged.run_id != run.run_id
    assert (await client.wait_for(ended(logged.run_id))).content == "three"


async def test_each_message_says_what_it_wants_as_far_as_the_agent_does_it(client, model, steered):
    model.script(answer := text("one two", hang=1), text("second"))
    run = await client.say(steered, "go")
    await happens(answer.gate.entered)
    queued = await client.say(steered, "queued", when_busy="queue")
    assert (queued.mode, queued.position) == (None, 1)
    interrupting = await client.say(steered, "now", when_busy="interrupt")
    assert (await client.wait_for(ended(run.run_id))).metadata["reason"] == "new_message"
    assert (await client.wait_for(ended(queued.run_id))).metadata["reason"] == "new_message"
    assert (await client.wait_for(ended(interrupting.run_id))).event == "agent.final_answer"
    plain = await client.create_session("tools")
    refused = await refusal(client, message(plain, "hello", "m-1", when_busy="steer"))
    assert refused.code == "bad_field" and "queue" in refused.content
    refused = await refusal(client, {**message(plain, "hello"), "metadata": {"when_busy": "reject"}})
    assert refused.code == "bad_field" and "steer" in refused.content
    assert (await turn(client, plain, "hello"))[-1].content == "You said: hello"


async def test_what_nobody_has_read_is_taken_back(server, client, model, steered):
    model.script(tools(("wait_for_word", {})), text("done"))
    run = await client.say(steered, "go", "m-1")
    asked = await client.wait_for("agent.user_confirm")
    await client.say(steered, "no, wait", "s-1")
    queued = await client.say(steered, "and then", "q-1", when_busy="queue")
    await client.withdraw(steered, "s-1")
    await client.withdraw(steered, "q-1")
    taken = await client.wait_for(ended(queued.run_id))
    assert (taken.event, taken.metadata["reason"]) == ("agent.interrupted", "withdrawn")
    refused = await refusal(client, {"event": "user.withdraw", "session_id": steered, "message_id": "m-1"})
    assert refused.code == "message_read"
    refused = await refusal(client, {"event": "user.withdraw", "session_id": steered, "content": {"message_id": "x"}})
    assert refused.code == "message_not_found"
    refused = await refusal(client, {"event": "user.withdraw", "session_id": steered})
    assert refused.code == "missing_field"
    await client.respond(steered, asked.step_id, True)
    await client.wait_for(ended(run.run_id))
    assert said(model.request(2)) == [("user", "go")]
    assert [frame.content for frame in await whole_log(server, steered) if frame.event == "user.message"] == [
        "go", "and then",
    ]  # fmt: skip
    await turn(client, steered, "next")
    assert said(model.request(3)) == [("user", "go"), ("user", "next")]


async def test_a_copy_from_before_it_has_what_the_run_had_done(server, client, model, steered):
    model.script(tools(("wait_for_word", {})), text("as you say"))
    run = await client.say(steered, "go", "m-1")
    asked = await client.wait_for("agent.user_confirm")
    await client.say(steered, "but briefly", "s-1")
    early = await client.fork(steered, at=asked.seq)
    await client.respond(steered, asked.step_id, True)
    await client.wait_for(ended(run.run_id))
    assert [frame.event for frame in await whole_log(server, early)] == ["agent.session_created"]
    model.script(text("at length"))
    fork_id = await client.fork(steered, before="s-1", content="at length, please")
    await client.wait_for(lambda frame: frame.session_id == fork_id and frame.event == "agent.final_answer")
    sent = [(item["role"], item["content"]) for item in model.request(3).messages[1:]]
    assert [role for role, _ in sent[:3]] == ["user", "assistant", "tool"]
    assert sent[-1] == ("user", "at length, please") and ("user", "but briefly") not in sent
    model.script(text("again"))
    fork_id = await client.fork(steered, before="s-1")
    await client.wait_for(lambda frame: frame.session_id == fork_id and frame.event == "agent.final_answer")
    assert said(model.request(4))[-1] == ("user", "but briefly")


async def read_by(client, accepted, message_id):
    """The run that reads a message: a steering one whose run has ended first starts another, which its log names."""
    if accepted.mode is None:
        return accepted.run_id
    logged = await client.wait_for(
        lambda frame: frame.event == "user.message" and frame.metadata["message_id"] == message_id
    )
    return logged.run_id


async def test_each_is_read_exactly_once_however_it_races_with_the_end(server, client, model, steered):
    """Half of them are sent when the run is about to end: by it, or behind it, the model reads each of them once."""
    sent = Counter()
    for number in range(RACES):
        run = await client.say(steered, f"run {number}")
        sent[words := f"steering {number}"] += 1
        accepted = await client.say(steered, words, f"s-{number}")
        reader = await read_by(client, accepted, f"s-{number}")
        for run_id in {run.run_id, reader}:  # each end is handed out once, also where one run reads both
            await client.wait_for(ended(run_id))
    last = await client.say(steered, "the end", "last")
    await client.wait_for(ended(await read_by(client, last, "last")))
    lines = "\n".join(words for _, words in said(model.requests[-1])).split("\n")
    assert Counter(words for words in lines if words.startswith("steering")) == sent
    logged = [frame.content for frame in await whole_log(server, steered) if frame.event == "user.message"]
    assert Counter(words for words in logged if words.startswith("steering")) == sent


async def test_another_connection_may_steer_too(server, client, model, steered):
    model.script(tools(("wait_for_word", {})), text("as you say"))
    run = await client.say(steered, "go")
    asked = await client.wait_for("agent.user_confirm")
    async with connected(server) as other:
        await other.resume(steered)
        assert (await other.say(steered, "from elsewhere")).mode == "steer"
        await client.respond(steered, asked.step_id, True)
        frames = await other.until(ended(run.run_id))
        assert [frame.content for frame in frames if frame.event == "user.message"][-1] == "from elsewhere"
    assert only(await client.until(ended(run.run_id)), "user.message").content == "from elsewhere"
