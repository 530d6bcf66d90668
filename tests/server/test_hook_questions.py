"""Hooks that ask a person through the real server, and tools that each run chooses; also when the server dies."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import connected
from tests.support.conversation import ended, only, response, taken_over, whole_log
from tests.support.model_replies import smart, text, tools
from tests.support.strict_endpoint import faults
from tests.support.two_servers import NEVER, SQLITE, two_servers

SERVER = {"files": ("asking.py",)}
POINTS = ("user_message", "before_model", "after_model", "before_tool", "after_tool", "answer")
IS_QUESTION = "agent.user_confirm"


@pytest.fixture(autouse=True)
def sound_model(model):
    model.reset()
    yield
    model.reset()
    model.default = smart


def script(model, tmp_path):
    model.script(tools(("look", {"at": "garden", "into": str(tmp_path / "seen")})), text("Empty."))


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("point", POINTS)
async def test_a_hook_asks_at_any_point(server, client, model, tmp_path, point, said):
    script(model, tmp_path)
    session_id = await client.create_session()
    run = await client.say(session_id, f"ask at {point}")
    times = 0
    while True:
        frame = await client.wait_for(lambda f: f.event == IS_QUESTION or ended(run.run_id)(f))
        if frame.event != IS_QUESTION:
            break
        times += 1
        assert (frame.content, frame.metadata["tool_name"]) == (f"Go on at {point}?", f"ask_at_{point}")
        assert bool(frame.metadata["call_step_id"]) is point.endswith("tool")
        await client.send(response(session_id, frame, said))
    assert (frame.content, frame.metadata["finish"]) == (
        ("Empty.", "answer") if said else (f"Stopped at {point}.", "refused")
    )
    assert times == (2 if said and point.endswith("model") else 1)


@pytest.mark.parametrize("point", ["user_message", "before_model", "before_tool"])
async def test_an_open_question_outlives_the_death_of_a_process(model, tmp_path, point):
    """What the hook was shown is the same after the takeover, so the person who was asked answers the same question."""
    script(model, tmp_path)
    settings = {"LEASE_SECONDS": NEVER}
    with two_servers(SQLITE, tmp_path, model, files=("asking.py",), settings=settings) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, f"ask at {point}")
            question = await there.wait_for(IS_QUESTION)
            await asyncio.to_thread(first.kill)
            # It may be answered at any moment: while nobody owns the run, or when the second server does.
            await there.send(response(session_id, question))
            if point == "before_model":
                again = await there.wait_for(IS_QUESTION)
                assert again.step_id != question.step_id, "that of the second step"
                await there.send(response(session_id, again))
            assert (await there.wait_for(ended(run.run_id))).content == "Empty."
            asked = [frame for frame in await whole_log(second, session_id) if frame.event == IS_QUESTION]
            assert len({frame.step_id for frame in asked}) == len(asked) == (2 if point == "before_model" else 1)


@pytest.mark.parametrize("point", ["user_message", "before_model", "before_tool"])
async def test_an_answer_is_not_asked_for_again_after_a_death(model, tmp_path, point):
    model.script(
        *([] if point != "before_tool" else [tools(("look", {"at": "garden", "into": str(tmp_path / "seen")}))]),
        text("Emp", hang=1),
        text("Empty."),
    )
    settings = {"LEASE_SECONDS": NEVER}
    with two_servers(SQLITE, tmp_path, model, files=("asking.py",), settings=settings) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, f"ask at {point}")
            await here.send(response(session_id, await here.wait_for(IS_QUESTION)))
            await asyncio.to_thread(model.request, 2 if point == "before_tool" else 1)
            await asyncio.to_thread(first.kill)
            assert (await there.wait_for(ended(run.run_id))).content == "Empty."
            log = await whole_log(second, session_id)
            assert [frame.event for frame in log].count(IS_QUESTION) == 1


async def test_a_yes_to_one_answer_is_none_to_another(model, tmp_path):
    """After a takeover the model may write something else: the person is asked again, and the old question is void."""
    model.script(text("The first."), text("The second."))
    settings = {"LEASE_SECONDS": NEVER}
    with two_servers(SQLITE, tmp_path, model, files=("asking.py",), settings=settings) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "ask at answer")
            before = await there.wait_for(IS_QUESTION)
            await asyncio.to_thread(first.kill)
            after = await there.wait_for(lambda f: f.event == IS_QUESTION and f.step_id != before.step_id)
            await there.send(response(session_id, before))
            refused = await there.wait_for(lambda f: f.event == "agent.error" and f.seq is None)
            assert refused.code == "no_pending_confirmation"
            await there.send(response(session_id, after))
            assert (await there.wait_for(ended(run.run_id))).content == "The second."


@pytest.mark.parametrize("killed_at", [1, 2])
async def test_tools_of_a_run_are_chosen_again_after_a_death(model, tmp_path, killed_at):
    seen = tmp_path / "seen"
    replies = [tools(("look", {"at": "garden", "into": str(seen)})), text("Empty.")]
    model.script(*replies[: killed_at - 1], text("Em", hang=1), *replies[killed_at - 1 :])
    settings = {"LEASE_SECONDS": NEVER}
    with two_servers(SQLITE, tmp_path, model, files=("asking.py",), settings=settings) as (first, second):
        _session_id, end = await taken_over(first, second, model, "look around", killed_at=killed_at)
        assert end.content == "Empty."
        assert set(seen.read_text().split()) == {"garden"}
        assert all(len(request.body["tools"]) == 2 for request in model.requests)
        assert not any(faults(request.body) for request in model.requests)


async def test_a_tool_that_is_not_chosen_any_more_after_a_death_has_a_result_that_says_so(model, tmp_path):
    model.script(tools(("look", {"at": "garden", "into": str(tmp_path / "seen")})), text("I cannot look."))
    settings, environments = {"LEASE_SECONDS": NEVER}, ({}, {"ASKING_TOOLS": "dig"})
    options = {"files": ("asking.py",), "settings": settings, "environments": environments}
    with two_servers(SQLITE, tmp_path, model, **options) as (first, second):
        async with connected(first) as here, connected(second) as there:
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "ask at before_tool")
            await there.wait_for(IS_QUESTION)
            await asyncio.to_thread(first.kill)
            assert (await there.wait_for(ended(run.run_id))).content == "I cannot look."
            result = only(await whole_log(second, session_id), "agent.tool_result")
    assert result.metadata["status"] == "failed"
    assert result.content == "Error: There is no tool 'look'. Available are: dig."
    assert not (tmp_path / "seen").exists() and not any(faults(request.body) for request in model.requests)
