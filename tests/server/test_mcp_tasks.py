"""Runs as tasks of MCP: durable, answered, cancelled, good after a restart, and of their user alone."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from mcp.shared.exceptions import MCPError

from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage, tokens_of
from tests.support.conversation import check_log
from tests.support.http_door import HttpDoor
from tests.support.mcp_client import NO, YES, TaskClient, mcp_client, task_client
from tests.support.model_replies import text
from tests.support.patience import WAIT_SECONDS

SERVER = {
    "files": ("tools.py", "second.py"),
    "settings": {"GRANTS_SECONDS": 0.1},
    "options": ("--language", "en"),
}
OPTIONS = ("--language", "en")
pytestmark = pytest.mark.database


async def test_a_task_is_there_before_its_answer(server, tokens, model):
    held = text("at last", hang=0)
    model.script(held)
    async with task_client(server, tokens["ann"]) as client, HttpDoor(server, tokens["ann"]) as door:
        task = await client.begin("ask_second", message="hello")
        assert (task["status"], task["ttlMs"], task["createdAt"] <= task["lastUpdatedAt"]) == ("working", None, True)
        joined = await client.begin("ask_second", message="hello")
        assert joined["taskId"] == task["taskId"], "the same call joins the run"
        for _ in range(200):
            assert (await client.get(task["taskId"]))["status"] == "working"
        held.gate.open()
        done = await client.until(task["taskId"], "completed")
        results = [(await client.get(task["taskId"]))["result"] for _ in range(3)]
        assert all(result == done["result"] for result in results)
        assert done["result"]["content"][0]["text"] == "at last" and not done["result"]["isError"]
        facts = done["result"]["structuredContent"]
        assert facts["run_id"] == task["taskId"]
        log = await door.log(facts["session_id"])
        with Backstage(server) as backstage:
            backstage.do("Run.objects.update(finished_at=timezone.now() - timedelta(hours=2)); result = None")
        assert "answers: 0" not in await asyncio.to_thread(server.manage, "compactevents")
        assert (await client.get(task["taskId"]))["result"] == done["result"]
    check_log(log)
    assert [frame.event for frame in log if frame.event == "user.message"] == ["user.message"]


async def test_questions_of_a_task(server, tokens, tmp_path):
    path = tmp_path / "written"
    async with task_client(server, tokens["ann"]) as client, task_client(server, tokens["bob"]) as bob:
        task_id = (await client.begin("ask_tools", message=f'call:write {{"path": "{path}", "text": "one"}}'))["taskId"]
        asking = await client.until(task_id, "input_required")
        ((key, request),) = asking["inputRequests"].items()
        assert request["method"] == "elicitation/create" and str(path) in request["params"]["message"]
        for wrong in ({"action": "accept"}, {"action": "accept", "content": {"approved": "yes"}}, {}):
            with pytest.raises(MCPError) as refused:
                await client.update(task_id, **{key: wrong})
            assert refused.value.error.data["code"] == "bad_field"
        with pytest.raises(MCPError) as refused:
            await bob.update(task_id, **{key: YES})
        assert refused.value.error.data["code"] == "run_not_found"
        with pytest.raises(MCPError) as refused:
            await client.update(task_id, unknown=YES)
        assert refused.value.error.data["code"] == "no_pending_confirmation"
        assert not path.exists()
        await client.update(task_id, **{key: YES})
        await client.update(task_id, **{key: YES})
        done = await client.until(task_id, "completed")
        assert done["result"]["structuredContent"]["answer"] == "Result: wrote one"
        other = (await client.begin("ask_tools", message=f'call:write {{"path": "{path}", "text": "two"}}'))["taskId"]
        (key,) = (await client.until(other, "input_required"))["inputRequests"]
        await client.update(other, **{key: NO})
        assert (await client.until(other, "completed"))["result"]["isError"] is False
    assert path.read_text() == "one"


async def test_to_cancel_a_task_and_to_leave(server, tokens, model):
    held = text("never said", hang=0)
    model.script(held)
    async with task_client(server, tokens["ann"]) as client:
        task_id = (await client.begin("ask_second", message="long"))["taskId"]
    async with task_client(server, tokens["ann"]) as client, task_client(server, tokens["bob"]) as bob:
        assert (await client.get(task_id))["status"] == "working", "to leave cancels nothing"
        with pytest.raises(MCPError) as refused:
            await bob.cancel(task_id)
        assert refused.value.error.data["code"] == "run_not_found"
        await client.cancel(task_id)
        cancelled = await client.until(task_id, "cancelled")
        assert "result" not in cancelled
        await client.cancel(task_id)
        with pytest.raises(MCPError) as refused:
            await bob.get(task_id)
        with pytest.raises(MCPError) as unknown:
            await bob.get(str(uuid.uuid4()))
        assert refused.value.error == unknown.value.error, "as if it did not exist"


async def test_a_task_is_cancelled_and_answered_by_its_own_id_alone(server, tokens, model, tmp_path):
    path = tmp_path / "written"
    held = text("at last", hang=0)
    async with task_client(server, tokens["ann"]) as client:
        over = (await client.begin("ask_tools", message="hello"))["taskId"]
        facts = (await client.until(over, "completed"))["result"]["structuredContent"]
        again = {"session_id": facts["session_id"]}
        model.script(held)
        running = (await client.begin("ask_tools", message="long", **again))["taskId"]
        assert await asyncio.to_thread(held.gate.entered.wait, WAIT_SECONDS)
        queued = (await client.begin("ask_tools", message="never mind", **again))["taskId"]
        say = f'call:write {{"path": "{path}", "text": "one"}}'
        asking = (await client.begin("ask_tools", message=say, **again))["taskId"]
        await client.cancel(queued)
        await client.until(queued, "cancelled")
        assert [(await client.get(name))["status"] for name in (running, asking)] == ["working", "working"]
        held.gate.open()
        (key,) = (await client.until(asking, "input_required"))["inputRequests"]
        for other in (over, running, queued):
            with pytest.raises(MCPError) as refused:
                await client.update(other, **{key: YES})
            assert refused.value.error.data["code"] == "no_pending_confirmation"
        assert (await client.get(asking))["status"] == "input_required" and not path.exists()
        await client.update(asking, **{key: YES})
        await client.until(asking, "completed")
    assert path.read_text() == "one"


async def test_a_failed_run_is_a_completed_task_that_says_so(server, tokens, model):
    model.script(*[text("", finish=None, cut=0)] * 10)
    async with task_client(server, tokens["ann"]) as client:
        task_id = (await client.begin("ask_second", message="hello"))["taskId"]
        done = await client.until(task_id, "completed")
        assert done["result"]["isError"] and done["result"]["structuredContent"]["code"]


async def test_who_has_not_said_that_it_takes_tasks_gets_none(server, tokens):
    async with mcp_client(server, tokens["ann"]) as client:
        assert (await client.call_tool("ask_second", {"message": "hello"})).content[0].text == "You said: hello"
        with pytest.raises(MCPError) as refused:
            await TaskClient(client).get(str(uuid.uuid4()))
        assert refused.value.error.code == -32021


async def test_a_task_is_good_after_the_server_was_killed(tmp_path, model):
    model.reset()
    model.script(text("one two three", hang=1))
    with AgentServer(tmp_path, "recovering.py", model=model, options=OPTIONS) as server:
        token = tokens_of(server)["ann"]
        async with task_client(server, token) as client:
            task_id = (await client.begin("ask_recovering", message="hello"))["taskId"]
            assert await asyncio.to_thread(model.request, 1)
            server.kill()
        model.reset()
        server.start()
        async with task_client(server, token) as client, HttpDoor(server, token) as door:
            done = await client.until(task_id, "completed")
            facts = done["result"]["structuredContent"]
            assert facts["answer"] == "You said: hello"
            check_log(await door.log(facts["session_id"]))


async def test_a_question_over_a_restart(tmp_path, model):
    model.reset()
    path = tmp_path / "written"
    with AgentServer(tmp_path / "server", "recovering.py", model=model, options=OPTIONS) as server:
        token = tokens_of(server)["ann"]
        async with task_client(server, token) as client:
            say = f'call:write {{"path": "{path}", "text": "one"}}'
            task_id = (await client.begin("ask_recovering", message=say))["taskId"]
            (key,) = (await client.until(task_id, "input_required"))["inputRequests"]
            server.kill()
        server.start()
        async with task_client(server, token) as client:
            assert list((await client.until(task_id, "input_required"))["inputRequests"]) == [key]
            await client.update(task_id, **{key: YES})
            done = await client.until(task_id, "completed")
            assert done["result"]["content"][0]["text"] == "Result: wrote one"
    assert path.read_text() == "one"
