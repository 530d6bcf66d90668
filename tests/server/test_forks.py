"""Conversations that are continued in new sessions, through a real server, and what users think of answers."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack

import pytest

from myagent.client import connect
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.conversation import ended, happens, only, refusal, turn, whole_log
from tests.support.model_replies import text, tools

pytestmark = pytest.mark.database
SERVER = {"options": ("--allow-anonymous",)}

TOKENS = """
for name in ("ann", "bob"):
    user = User.objects.get_or_create(username=name)[0]
    result = {**(result or {}), name: AccessToken.objects.issue(user, "flow")[1]}
"""
MANY_EVENTS = """
from sessions_app.journal.commit import commit
from tests.support import entries as e
import uuid
session_id = uuid.UUID(session)
for number in range(100):
    ref = e.running(session_id, f"number {number}", message_id=f"n-{number}")
    e.commit(e.deltas(ref, *(e.partial(ref, "x", index, step_id=uuid.uuid4().hex) for index in range(48))))
    e.commit_one(e.answer(ref))
result = Session.objects.get(pk=session_id).last_seq
"""
FORKS_IN_NUMBERS = """
forks = Session.objects.exclude(pk=session)
result = [[fork.last_seq, fork.events.count(), fork.runs.count(), fork.messages.count()] for fork in forks]
"""


@pytest.fixture(scope="module")
def backstage(running_server):
    with Backstage(running_server) as operator:
        yield operator


@pytest.fixture(scope="module")
def tokens(backstage):
    return backstage.do(TOKENS)


async def test_an_answer_is_asked_for_again_and_the_tools_remember_what_they_did(server, client, model):
    session_id = await client.create_session(title="a trip")
    model.script(tools(("remember", {"word": "one"})), text("noted"))
    await client.say(session_id, "remember one", "m-1")
    await client.wait_for(ended())
    model.script(tools(("remember", {"word": "two"})), text("noted, too"))
    await client.say(session_id, "remember two", "m-2")
    await client.wait_for(ended())
    before = await whole_log(server, session_id)
    model.script(tools(("recall", {})), text("again"))
    created = await client.request({"event": "user.fork", "session_id": session_id, "before": "m-2"})
    assert (created.event, created.seq) == ("agent.session_created", 1)
    assert created.metadata["forked_from"] == {"session_id": session_id, "message_id": "m-2"}
    said = await client.wait_for("user.message")
    assert (said.session_id, said.content, said.metadata["message_id"]) == (created.session_id, "remember two", "m-2")
    accepted = await client.wait_for("system.notice")
    assert accepted.metadata["run_id"] == said.run_id and accepted.session_id == created.session_id
    frames = [frame for frame in await client.until(ended(said.run_id)) if frame.run_id == said.run_id]
    assert only(frames, "agent.tool_result").content == "one"
    assert [message["content"] for message in model.request(5).messages if message["role"] == "user"] == [
        "remember one", "remember two",
    ]  # fmt: skip
    log = await whole_log(server, created.session_id)
    assert [frame.seq for frame in log] == list(range(1, len(log) + 1))
    assert log[said.seq - 1 :][0] == said and [frame.event for frame in log[1:4]] == [
        frame.event for frame in before[1:4]
    ]
    assert await whole_log(server, session_id) == before
    (row,) = [
        row for row in (await client.list_sessions(query="a trip")).sessions if row.session_id == created.session_id
    ]
    assert row.forked_from == {"session_id": session_id, "message_id": "m-2"} and row.title == "a trip"


async def test_a_run_that_goes_on_is_left_alone(server, client, model):
    session_id = await client.create_session()
    model.script(tools(("add", {"a": 1, "b": 2})), answer := text("three it is", hang=1))
    run = await client.say(session_id, "add", "m-1")
    result = await client.wait_for("agent.tool_result")
    await happens(answer.gate.entered)
    fork_id = await client.fork(session_id, at=result.seq)
    copied = await whole_log(server, fork_id)
    assert [frame.event for frame in copied][-3:] == ["agent.tool_call", "agent.tool_result", "agent.interrupted"]
    with_words = await client.fork(session_id, before="m-1", content="add nothing")
    assert (await client.wait_for(lambda frame: frame.session_id == with_words and frame.ends_run)).content
    answer.gate.open()
    assert (await client.wait_for(ended(run.run_id))).content == "three it is"
    assert (await turn(client, fork_id, "and?"))[-1].content == "You said: and?"


async def test_what_may_not_be_forked_looks_like_nothing(server, client, tokens):
    session_id = await client.create_session()
    await client.say(session_id, "hello", "m-1")
    await client.wait_for(ended())
    gone = await client.create_session()
    await client.delete_session(gone)
    async with connected(server, token=tokens["ann"]) as ann:
        answers = [
            await refusal(ann, {"event": "user.fork", "session_id": named, **where})
            for named in (session_id, gone, str(uuid.uuid4()), "x")
            for where in ({"at": 1}, {"before": "m-1"}, {"before": "m-1", "content": " "})
        ]
        assert {(frame.event, frame.code, frame.content) for frame in answers} == {
            ("agent.error", "session_not_found", answers[0].content)
        }
    other = await client.create_session()
    for where, code in (
        ({"before": "m-1"}, "message_not_found"),
        ({"at": 2}, "cursor_ahead"),
        ({"before": "m-1", "content": ""}, "empty_message"),
        ({}, "missing_field"),
        ({"before": "m-1", "at": 1}, "missing_field"),
        ({"at": 1, "content": "x"}, "bad_field"),
        ({"at": -1}, "bad_field"),
    ):
        assert (await refusal(client, {"event": "user.fork", "session_id": other, **where})).code == code
    assert {row.session_id for row in (await client.list_sessions(limit=100)).sessions} >= {session_id, other}


async def test_a_fork_belongs_to_who_made_it(server, tokens, backstage):
    async with connected(server, token=tokens["ann"]) as ann, connected(server, token=tokens["bob"]) as bob:
        session_id = await ann.create_session()
        await turn(ann, session_id, "hello")
        # An anonymous session may be used by all who know its id.
        backstage.do("Session.objects.filter(pk=session).update(user=None)", session=session_id)
        fork_id = await bob.fork(session_id, at=1)
        assert (await refusal(ann, {"event": "user.fork", "session_id": fork_id, "at": 1})).code == "session_not_found"
        assert [row.session_id for row in (await bob.list_sessions()).sessions] == [fork_id]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_many_forks_at_once_of_a_long_session(server, client, backstage):
    session_id = await client.create_session()
    last_seq = backstage.do(MANY_EVENTS, session=session_id)
    assert last_seq == 5_001
    # Without the patience of `client`: how long fifty take says something of the machine.
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(server.url)) for _ in range(5)]
        forks = asyncio.gather(*(one.fork(session_id, at=last_seq) for one in clients for _ in range(10)))
        # Others are not kept waiting by all of them, but by one.
        answer = asyncio.create_task(turn(client, await client.create_session(), "hello"))
        await asyncio.wait({forks, answer}, return_when=asyncio.FIRST_COMPLETED)
        assert answer.done() and not forks.done()
        made = await forks
    rows = {row.session_id: row.last_seq for row in (await client.list_sessions(limit=100)).sessions}
    assert [rows[fork_id] for fork_id in made] == [last_seq] * 50


async def test_what_users_think_is_logged_for_all_and_can_be_taken_back(server, client, backstage):
    session_id = await client.create_session()
    run_id = (await turn(client, session_id, "hello"))[-1].run_id
    async with connected(server) as other:
        await other.reconnect(session_id)
        await client.rate(session_id, run_id, "down", "It is wrong.")
        seen = await other.wait_for("user.feedback")
        assert seen.content == {"run_id": run_id, "rating": "down", "comment": "It is wrong."}
    row = "result = list(Run.objects.filter(pk=run).values_list('rating', 'comment'))"
    assert backstage.do(row, run=run_id) == [["down", "It is wrong."]]
    await client.rate(session_id, run_id, None)
    assert backstage.do(row, run=run_id) == [[None, None]]
    asked = {"event": "user.feedback", "session_id": session_id}
    other_run = (await turn(client, await client.create_session(), "hello"))[-1].run_id
    for wrong, code in (
        ({"run_id": other_run, "rating": "up"}, "run_not_found"),
        ({"run_id": "x", "rating": "up"}, "run_not_found"),
        ({"run_id": run_id}, "missing_field"),
        ({"run_id": run_id, "rating": "better"}, "bad_field"),
        ({"run_id": run_id, "rating": "up", "comment": "x" * 2_001}, "bad_field"),
    ):
        assert (await refusal(client, {**asked, **wrong})).code == code
    await client.rate(session_id, run_id, "up")
    assert [frame.event for frame in await whole_log(server, session_id)][-3:] == ["user.feedback"] * 3


@pytest.mark.slow
async def test_a_server_that_is_killed_leaves_a_whole_fork_or_none(model, tmp_path):
    with AgentServer(tmp_path, "tools.py", model=model) as server, Backstage(server) as operator:
        async with connected(server) as client:
            session_id = await client.create_session()
            last_seq = operator.do(MANY_EVENTS, session=session_id)
        for pause in (0.0, 0.1, 0.2, 0.4, 0.8):
            async with connected(server) as client:
                await client.send({"event": "user.fork", "session_id": session_id, "at": last_seq})
                await asyncio.sleep(pause)
                await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        found = operator.do(FORKS_IN_NUMBERS, session=session_id)
        assert all(fork == [last_seq, last_seq, 100, 200] for fork in found), found
