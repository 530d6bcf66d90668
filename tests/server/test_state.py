"""A session is exported and goes on: where it was, on another server, after it was deleted, and for nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from myagent.client import connect
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import ended, refusal, turn, whole_log
from tests.support.model_replies import text

SECRET = "the-secret-of-both-servers-which-is-long-enough-for-it"
SERVER = {"files": ("tools.py", "second.py", "recovering.py"), "environment": {"MYAGENT_SECRET_KEY": SECRET}}


@pytest.fixture(scope="module")
def running_elsewhere(model, tmp_path_factory) -> Iterator[AgentServer]:
    """Another installation with the same secret: a database and a folder of its own, and one agent less."""
    environment = {"MYAGENT_SECRET_KEY": SECRET}
    folder = tmp_path_factory.mktemp("elsewhere")
    with AgentServer(folder, "tools.py", model=model, environment=environment) as server:
        yield server


@pytest.fixture
async def elsewhere(running_elsewhere):
    """A connection to the other installation."""
    async with connected(running_elsewhere) as connection:
        yield connection


async def export(client, session_id):
    """The reply that holds the state, checked."""
    reply = await client.request({"event": "user.request_state", "session_id": session_id})
    assert (reply.event, reply.session_id, reply.seq) == ("agent.state_exported", session_id, None)
    sealed = reply.metadata["signed_state"]
    assert set(sealed) == {"state", "timestamp", "signature", "version", "checksum"}
    size = len(json.dumps(sealed, ensure_ascii=False, separators=(",", ":")).encode())
    assert reply.metadata["state_size"] == size <= 256 * 1024
    return reply


async def restore(client, signed_state, **fields):
    """The frames of a restored session: the reply, what is sent again, and the notice at the end."""
    event = {"event": "user.reconnect_with_state", "signed_state": signed_state, **fields}
    reply = await client.request(event)
    assert (reply.event, reply.seq) == ("agent.state_restored", None)
    assert (reply.metadata["connection_id"], reply.metadata["agent_name"]) == (client.connection_id, "tools")
    frames = await client.until(lambda frame: frame.metadata.get("action") == "replay")
    assert {frame.session_id for frame in frames} == {reply.session_id}
    assert frames[-1].metadata["request_id"] == reply.metadata["request_id"]
    return [reply, *frames]


def said(request):
    """Role and text of what a model was sent, without the system's words."""
    return [(message["role"], message["content"]) for message in request.messages if message["role"] != "system"]


# --- on the same server ---


async def test_the_same_session_goes_on_where_it_is(server, client):
    session_id = await client.create_session()
    frames = await turn(client, session_id, 'call:add {"a": 2, "b": 3}')
    exported = await export(client, session_id)
    assert exported.metadata["message_count"] == 4
    assert exported.metadata["current_step"] == frames[-1].metadata["steps"] == 2
    await turn(client, session_id, "after the export")
    async with connected(server) as other:
        signed = exported.metadata["signed_state"]
        reply, *replayed, notice = await restore(other, signed, content={"last_event_id": f"{session_id}-2"})
        assert (reply.session_id, reply.metadata["original_session_id"]) == (session_id, session_id)
        assert (reply.metadata["message_count"], reply.metadata["restored_step"]) == (6, 1)
        assert reply.metadata["warnings"] == []
        log = await whole_log(server, session_id)
        assert replayed == log[2:]
        assert notice.metadata["replayed"] == len(replayed)
        assert (await turn(other, session_id, "and on"))[-1].content == "You said: and on"


async def test_without_a_cursor_everything_is_sent_again(server, client):
    session_id = await client.create_session()
    await turn(client, session_id, "hi")
    exported = await export(client, session_id)
    async with connected(server) as other:
        _reply, *replayed, _notice = await restore(other, exported.metadata["signed_state"])
    assert replayed == await whole_log(server, session_id)


async def test_a_cursor_has_to_be_one_of_that_session(client):
    session_id, another = await client.create_session(), await client.create_session()
    signed = (await export(client, session_id)).metadata["signed_state"]
    event = {"event": "user.reconnect_with_state", "signed_state": signed}
    assert (await refusal(client, {**event, "last_event_id": f"{another}-1"})).code == "bad_field"
    ahead = await refusal(client, {**event, "last_seq": 50})
    assert (ahead.code, ahead.metadata["last_seq"]) == ("cursor_ahead", 1)


async def test_a_closed_session_can_be_read(client):
    session_id = await client.create_session()
    signed = (await export(client, session_id)).metadata["signed_state"]
    await client.send({"event": "user.close_session", "session_id": session_id})
    await client.wait_for("agent.session_end")
    reply = await client.request({"event": "user.reconnect_with_state", "signed_state": signed})
    assert reply.session_id == session_id
    (warning,) = reply.metadata["warnings"]
    assert "closed" in warning


async def test_a_deleted_session_goes_on_as_a_new_one(server, client, model):
    session_id = await client.create_session(title="soon gone")
    await turn(client, session_id, 'call:remember {"word": "swan"}')
    signed = (await export(client, session_id)).metadata["signed_state"]
    await client.send({"event": "user.delete_session", "session_id": session_id})
    await client.wait_for("agent.session_deleted")
    reply, *_ = await restore(client, signed)
    assert reply.session_id != session_id == reply.metadata["original_session_id"]
    assert (await turn(client, reply.session_id, "call:recall"))[-1].content == "Result: swan"
    listed = await client.request({"event": "user.list_sessions", "content": {"query": "soon gone"}})
    assert [row["session_id"] for row in listed.metadata["sessions"]] == [reply.session_id]


# --- on another one ---


async def test_the_conversation_goes_on_elsewhere(client, model, elsewhere, running_elsewhere):
    session_id = await client.create_session(metadata={"page": "home"})
    await turn(client, session_id, 'call:remember {"word": "swan"}\ncall:add {"a": 2, "b": 3}')
    exported = await export(client, session_id)
    reply, created, notice = await restore(elsewhere, exported.metadata["signed_state"], last_seq=7)
    assert reply.session_id != session_id == reply.metadata["original_session_id"]
    assert (reply.metadata["restored_step"], reply.metadata["message_count"]) == (2, 5)
    assert reply.metadata["warnings"] == []
    assert (created.event, created.seq, created.session_id) == ("agent.session_created", 1, reply.session_id)
    assert (notice.metadata["replayed"], notice.metadata["last_seq"]) == (1, 1)
    assert notice.metadata["run_status"] == "idle"

    before = len(model.requests)
    answered = await turn(elsewhere, reply.session_id, "call:recall")
    assert answered[-1].content == "Result: swan", "what tools keep goes on, too"
    asked = model.request(before + 1)
    assert said(asked)[:-1] == [
        ("user", 'call:remember {"word": "swan"}\ncall:add {"a": 2, "b": 3}'),
        ("assistant", ""),
        ("tool", "noted"),
        ("tool", "5"),
        ("assistant", "Result: noted | 5"),
    ]
    calls = asked.messages[2]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["remember", "add"]
    assert json.loads(calls[1]["function"]["arguments"]) == {"a": 2, "b": 3}
    assert [call["id"] for call in calls] == [message["tool_call_id"] for message in asked.messages[3:5]]

    log = await whole_log(running_elsewhere, reply.session_id)
    assert [frame.event for frame in log[:2]] == ["agent.session_created", "user.message"]
    (row,) = (await elsewhere.request({"event": "user.list_sessions", "content": {"limit": 1}})).metadata["sessions"]
    assert row["session_id"] == reply.session_id and row["title"].startswith("call:remember")
    again = (await export(elsewhere, reply.session_id)).metadata
    assert again["message_count"] == 9


async def test_another_secret_refuses_it_until_it_is_listed(client, tmp_path, model):
    session_id = await client.create_session()
    signed = (await export(client, session_id)).metadata["signed_state"]
    event = {"event": "user.reconnect_with_state", "content": {"signed_state": signed}}
    environment = {"MYAGENT_SECRET_KEY": "another-secret-which-is-long-enough-for-it"}
    with AgentServer(tmp_path, "tools.py", model=model, environment=environment) as server:
        async with connected(server) as there:
            refused = await refusal(there, event)
            assert (refused.event, refused.code, refused.metadata["reason"]) == (
                "system.error", "invalid_state", "altered",
            )  # fmt: skip
            assert refused.metadata["request"] == "user.reconnect_with_state"
    environment |= {"MYAGENT_SECRET_KEY_FALLBACKS": f"older,{SECRET}"}
    with AgentServer(tmp_path, "tools.py", model=model, environment=environment) as server:
        async with connected(server) as there:
            await restore(there, signed)


async def test_each_restore_makes_a_session_of_its_own(client, elsewhere):
    session_id = await client.create_session()
    signed = (await export(client, session_id)).metadata["signed_state"]
    first, *_ = await restore(elsewhere, signed)
    second, *_ = await restore(elsewhere, signed)
    assert len({session_id, first.session_id, second.session_id}) == 3


# --- what is going on ---


async def test_a_run_goes_on_while_it_is_exported(server, client, model, elsewhere):
    model.script(answer := text("one two three", hang=2))
    session_id = await client.create_session()
    run = await client.say(session_id, "count")
    await client.wait_for("agent.partial_answer")
    queued = await client.say(session_id, "and then?")
    exported = await export(client, session_id)
    assert exported.metadata["message_count"] == 2
    reply, *_ = await restore(elsewhere, exported.metadata["signed_state"])
    (warning,) = reply.metadata["warnings"]
    assert "not answered" in warning
    before = len(model.requests)
    assert (await turn(elsewhere, reply.session_id, "well?"))[-1].content == "You said: well?"
    assert said(model.request(before + 1)) == [("user", "count\n\nand then?\n\nwell?")]
    answer.gate.open()
    assert (await client.wait_for(ended(run.run_id))).content == "one two three"
    assert (await client.wait_for(ended(queued.run_id))).content == "You said: and then?"
    await whole_log(server, session_id)


async def test_a_call_that_has_no_result_is_closed(client, model, elsewhere):
    session_id = await client.create_session()
    await client.say(session_id, "call:wait")
    await client.wait_for("agent.tool_progress")
    signed = (await export(client, session_id)).metadata["signed_state"]
    await client.cancel(session_id)
    reply, *_ = await restore(elsewhere, signed)
    before = len(model.requests)
    await turn(elsewhere, reply.session_id, "well?")
    user, assistant, tool, *_ = model.request(before + 1).messages[1:]
    assert [user["role"], assistant["role"], tool["role"]] == ["user", "assistant", "tool"]
    assert tool["tool_call_id"] == assistant["tool_calls"][0]["id"]
    assert "unknown" in tool["content"]


async def test_a_long_history_is_cut_to_whole_exchanges(client, model, elsewhere):
    session_id = await client.create_session()
    for number in range(4):
        await turn(client, session_id, f'call:big {{"size": 60000}} number {number}')
    exported = await export(client, session_id)
    # The result of a tool is in its own message and in the answer that repeats it.
    assert exported.metadata["message_count"] == 8
    reply, *_ = await restore(elsewhere, exported.metadata["signed_state"])
    (warning,) = reply.metadata["warnings"]
    assert "Older messages" in warning
    before = len(model.requests)
    await turn(elsewhere, reply.session_id, "hi")
    first = said(model.request(before + 1))[0]
    assert first[0] == "user" and first[1].endswith("number 2")


# --- who may ---


def token(server, user):
    return server.manage("createtoken", user, "--create-user").strip()


async def test_nobody_else_can_export_or_restore(server, client, running_elsewhere):
    session_id = await client.create_session()
    signed = (await export(client, session_id)).metadata["signed_state"]
    for installation in (server, running_elsewhere):
        async with connect(installation.url, token=token(installation, "eve")) as eve:
            frame = await refusal(eve, {"event": "user.request_state", "session_id": session_id})
            assert (frame.event, frame.code) == ("agent.error", "session_not_found")
            frame = await refusal(eve, {"event": "user.reconnect_with_state", "signed_state": signed})
            assert (frame.code, frame.metadata["reason"]) == ("invalid_state", "other_user")
            listed = await eve.request({"event": "user.list_sessions"})
            assert listed.metadata["sessions"] == []


async def test_a_name_is_the_same_user_in_both_installations(server, running_elsewhere):
    async with connect(server.url, token=token(server, "ann")) as here:
        session_id = await here.create_session()
        signed = (await export(here, session_id)).metadata["signed_state"]
    async with connect(running_elsewhere.url, token=token(running_elsewhere, "ann")) as there:
        reply, *_ = await restore(there, signed)
        listed = await there.request({"event": "user.list_sessions"})
        assert [row["session_id"] for row in listed.metadata["sessions"]] == [reply.session_id]


async def test_anonymous_states_are_for_everybody_and_for_no_user(tmp_path, model, elsewhere):
    options = ["--allow-anonymous", "--require-auth"]
    with AgentServer(tmp_path, "tools.py", model=model, options=options, environment=SERVER["environment"]) as server:
        async with connected(server) as here:
            session_id = await here.create_session()
            await turn(here, session_id, 'call:remember {"word": "swan"}')
            signed = (await export(here, session_id)).metadata["signed_state"]
        frame = await refusal(elsewhere, {"event": "user.reconnect_with_state", "signed_state": signed})
        assert frame.metadata["reason"] == "other_user"
        async with connected(server) as stranger:
            reply, *_ = await restore(stranger, signed)
            assert reply.session_id == session_id
            await stranger.send({"event": "user.delete_session", "session_id": session_id})
            await stranger.wait_for("agent.session_deleted")
            reply, *_ = await restore(stranger, signed)
            assert (await turn(stranger, reply.session_id, "call:recall"))[-1].content == "Result: swan"


async def test_an_agent_that_is_not_there(client, elsewhere, running_elsewhere):
    session_id = await client.create_session("second")
    signed = (await export(client, session_id)).metadata["signed_state"]
    frame = await refusal(elsewhere, {"event": "user.reconnect_with_state", "signed_state": signed})
    assert (frame.event, frame.code, frame.metadata["reason"]) == ("system.error", "invalid_state", "unknown_agent")
    assert "second" in frame.content
    assert "Traceback" not in running_elsewhere.log


async def test_a_token_for_other_agents_does_not_take_it(server):
    session = {"event": "user.create_session", "content": {"agent": "tools"}}
    async with connect(server.url, token=token(server, "tom")) as tom:
        session_id = (await tom.request(session)).session_id
        signed = (await export(tom, session_id)).metadata["signed_state"]
    limited = server.manage("createtoken", "tom", "--agents", "second").strip()
    async with connect(server.url, token=limited) as tom:
        frame = await refusal(tom, {"event": "user.reconnect_with_state", "signed_state": signed})
        assert frame.metadata["reason"] == "unknown_agent"


@pytest.mark.parametrize("part", ["state", "timestamp", "signature", "version", "checksum"])
async def test_an_altered_state_is_refused_in_words(server, client, part):
    session_id = await client.create_session()
    signed = (await export(client, session_id)).metadata["signed_state"]
    for altered in (signed[part] + "x", "", None, 5):
        event = {"event": "user.reconnect_with_state", "signed_state": {**signed, part: altered}}
        frame = await refusal(client, event)
        assert (frame.event, frame.code) == ("system.error", "invalid_state")
        assert frame.content and "Traceback" not in frame.content
    assert "Traceback" not in server.log and "ERROR" not in server.log
    assert (await restore(client, signed))[0].session_id == session_id


async def test_no_secret_is_inside(server, client, model):
    session_id = await client.create_session()
    await turn(client, session_id, 'call:add {"a": 1, "b": 1}')
    state = json.dumps((await export(client, session_id)).metadata)
    key = model.request().headers["Authorization"].removeprefix("Bearer ")
    for secret in (SECRET, key, "You are the agent of the tests."):
        assert secret not in state


async def test_a_state_whose_tools_keep_too_much_is_not_exported(server):
    async with connected(server, "ws/recovering/") as client:
        session_id = await client.create_session()
        await turn(client, session_id, f'call:note {{"word": "{"x" * 300_000}"}}')
        frame = await refusal(client, {"event": "user.request_state", "session_id": session_id})
    assert (frame.event, frame.code) == ("agent.error", "state_too_large")


async def test_an_export_does_not_wait_for_a_tool_that_blocks(client):
    session_id = await client.create_session()
    await client.say(session_id, "call:block")
    await client.wait_for("agent.tool_progress")
    await export(client, session_id)
    await client.cancel(session_id)
    await client.wait_for("agent.interrupted")


async def test_the_model_is_asked_nothing(client, model, elsewhere):
    session_id = await client.create_session()
    await turn(client, session_id, "hi")
    signed = (await export(client, session_id)).metadata["signed_state"]
    await restore(elsewhere, signed)
    assert len(model.requests) == 1
